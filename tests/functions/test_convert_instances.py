"""What the API server is answered when it asks for another version."""

import json
from typing import Any

import pytest

from functions.convert_instances import convert_all
from shared.conversion import Edition
from shared.errors import Refused
from shared.review import parse

OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
KNOWN = {
    "v1": Edition("v1", ((("storage",), ("size",)),), plans=False, schema=OPEN),
    "v2": Edition("v2", ((("disk",), ("size",)),), plans=False, schema=OPEN),
}


def instance(version: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"acme/{version}", "kind": "Database", "metadata": {"name": "orders"}, "spec": spec}


def test_each_object_is_answered_in_its_place() -> None:
    asked = [instance("v1", storage="1"), instance("v2", disk="2"), instance("v1", storage="3")]
    wanted = [instance("v2", disk=size) for size in "123"]
    assert convert_all(asked, "acme/v2", KNOWN) == wanted


@pytest.mark.parametrize(("version", "desired"), [("v1", "v3"), ("v3", "v1")])
def test_a_version_nobody_knows_is_named(version: str, desired: str) -> None:
    with pytest.raises(Refused, match="there is no version v3"):
        convert_all([instance(version)], f"acme/{desired}", KNOWN)


def test_the_path_says_which_api_in_which_edition() -> None:
    asked = {"uid": "u", "desiredAPIVersion": "acme/v2", "objects": [instance("v1")]}
    found = parse(json.dumps({"request": asked}).encode(), "/convert_instances/databases.acme/e1")
    assert (found.uid, found.desired, found.crd, found.edition) == ("u", "acme/v2", "databases.acme", "e1")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"request": {}}', b'{"request": []}', b"[" * 100_000])
def test_what_is_no_review_is_no_bug(body: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, RecursionError)):
        parse(body, "/x/databases.acme/e1")
