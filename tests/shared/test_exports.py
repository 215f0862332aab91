"""Copies of a release's Secrets, whole."""

from typing import Any

import pytest

from shared import exports, ownership
from shared.errors import Refused
from shared.exports import Copy, copied, copies, stands
from shared.grants import Released
from tests.builders import KEY, offering

RELEASE = Released("database-team-a-orders", KEY, "orders")
SOURCE: dict[str, Any] = {
    "metadata": {"name": "orders-postgres", "namespace": RELEASE.namespace},
    "data": {"password": "cA==", "user": "dQ=="},
}


def copy(**more: Any) -> Copy:
    (found,) = copies(offering(exports=[{"secret": "$(release.name)-postgres", "as": "login", **more}]), RELEASE)
    return found


def test_a_copy_belongs_to_its_instance() -> None:
    assert copied(copy(), SOURCE, KEY) == {
        "metadata": {
            "name": "orders-login",
            "namespace": "team-a",
            "labels": ownership.labels(KEY),
            "annotations": {"chandlery.dev/copied-from": "database-team-a-orders/orders-postgres"},
            "ownerReferences": [
                {"apiVersion": "acme.example.com/v1alpha1", "kind": "Database", "name": "orders", "uid": KEY.uid}
            ],
        },
        "type": "Opaque",
        "data": {"password": "cA==", "user": "dQ=="},
    }


def test_only_the_keys_that_are_named_are_copied() -> None:
    assert copied(copy(keys=["user"]), SOURCE, KEY)["data"] == {"user": "dQ=="}


@pytest.mark.parametrize(
    ("source", "reason", "message"),
    [
        pytest.param(
            None,
            "SecretNotFound",
            "spec.exports[0].secret: the release has no Secret orders-postgres;"
            " this goes on by itself when it is there",
            id="no Secret",
        ),
        pytest.param(
            SOURCE | {"data": {"password": "cA=="}},
            "KeyNotFound",
            "spec.exports[0].keys: Secret orders-postgres has no key user; name keys that it has",
            id="no key",
        ),
    ],
)
def test_what_is_missing_is_said_without_what_is_there(source: Any, reason: str, message: str) -> None:
    with pytest.raises(Refused) as refused:
        copied(copy(keys=["user"]), source, KEY)
    assert (refused.value.reason, refused.value.message) == (reason, message)


def changed(where: str, **change: Any) -> dict[str, Any]:
    wanted = copied(copy(), SOURCE, KEY)
    if where == "data":
        return wanted | {"data": wanted["data"] | change}
    return wanted | {"metadata": wanted["metadata"] | {where: change}}


def test_a_copy_stands_until_somebody_changes_what_counts() -> None:
    wanted = copied(copy(), SOURCE, KEY)
    assert stands(wanted, wanted)
    assert stands(changed("labels", **wanted["metadata"]["labels"], theirs="x"), wanted)
    assert not stands(changed("data", more="eA=="), wanted)
    assert not stands(changed("labels"), wanted)


def test_a_copy_that_nobody_asks_for_is_no_longer() -> None:
    assert exports.no_longer(["orders-login", "orders-old"], [copy()]) == ["orders-old"]
