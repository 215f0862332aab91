"""What the resync says again of Consumers and Providers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.access import ConsumerApplied, ConsumerKey, ConsumerWithdrawn, ProviderWithdrawn
from shared import finalizers, grants
from shared.access import CONSUMER, Consumer, Provider
from shared.granted import Scene
from shared.grants import Owned
from shared.overdue import again, drifted, left, lost, touched, unknown
from shared.resources import ROLE_BINDINGS
from tests.builders import condition, offering
from tests.shared.test_grants import consumer

KEY = ConsumerKey(name="team-a", uid="c-1")
APPLIED = ConsumerApplied(consumer=KEY, generation=1)
SCENE = Scene((offering(),), ())


def seen(
    ready: dict[str, Any] | None = None, *, namespaces: tuple[str, ...] = ("team-a",), **metadata: Any
) -> Consumer:
    """As it stands in the cluster."""
    status = {"conditions": [ready] if ready else [], "namespaces": namespaces}
    whole = {"name": "team-a", "uid": "c-1", "generation": 1, **metadata}
    return Consumer.model_validate({"metadata": whole, "spec": {"offerings": ["database"]}, "status": status})


GONE: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("who", "wrong", "expected"),
    [
        pytest.param(seen(condition("Ready")), False, None, id="well"),
        pytest.param(seen(condition("Ready")), True, APPLIED, id="something drifted or ends soon"),
        pytest.param(seen(), False, APPLIED, id="nobody has spoken of it"),
        pytest.param(seen(condition("Ready", "False")), False, APPLIED, id="refused: tried again"),
        pytest.param(seen(condition("Ready", generation=0)), False, APPLIED, id="its change was lost"),
        pytest.param(seen(**GONE), True, None, id="on its way out, and not by us"),
        pytest.param(
            seen(**GONE, finalizers=[finalizers.ACCESS]),
            False,
            ConsumerWithdrawn(consumer=KEY, generation=1),
            id="its withdrawal was lost",
        ),
    ],
)
def test_what_is_not_where_it_should_be_is_said_again(who: Consumer, wrong: bool, expected: object) -> None:
    assert again(who, wrong=wrong) == expected


def test_rights_that_were_edited_are_noticed() -> None:
    found = grants.of_consumer(consumer(), ["team-a"], SCENE.offerings, ())
    account, role, binding = found
    assert not drifted(seen(), SCENE, found)
    assert drifted(seen(), SCENE, [account, binding])
    assert drifted(seen(), SCENE, [account, Owned(role.resource, role.body | {"rules": []}), binding])


def test_a_namespace_that_is_gone_or_somebody_else_s_is_noticed() -> None:
    home = {"metadata": {"name": "team-a", "labels": {CONSUMER: "team-a"}}}
    assert not lost(seen(), [home])
    assert lost(seen(), [])
    assert lost(seen(), [{"metadata": home["metadata"] | {"labels": {CONSUMER: "team-b"}}}])


def test_rights_of_nobody_are_taken_away() -> None:
    binding = Owned(ROLE_BINDINGS, {"metadata": {"name": "x", "namespace": "y", "labels": {CONSUMER: "old"}}})
    assert unknown(CONSUMER, [binding], [seen()]) == ["old"]
    assert left(Consumer, "old") == ConsumerWithdrawn(consumer=ConsumerKey(name="old", uid=""), generation=0)
    assert isinstance(left(Provider, "old"), ProviderWithdrawn)


def test_what_was_written_just_now_is_left_to_its_own_event() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    written: dict[str, Any] = {"managedFields": [{"time": "2025-12-31T23:59:50Z"}]}
    assert touched(seen(**written), now, 30)
    assert not touched(seen(**written), now + timedelta(seconds=30), 30)
