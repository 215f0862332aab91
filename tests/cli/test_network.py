"""`chandlery network`: on the real stack, with the command as people type it."""

import subprocess
from typing import Any

import pytest

from cli.network import parts, with_peer
from shared.errors import Refused
from tests.e2e.conftest import world as world
from tests.e2e.world import World


@pytest.mark.parametrize(
    ("told", "present", "expected"),
    [("", True, "x"), ("a, x", True, "a,x"), ("x", False, ""), ("a,x,b", False, "a,b")],
    ids=["first", "again", "last", "one of them"],
)
def test_a_peer_is_named_once_or_not_at_all(told: str, present: bool, expected: str) -> None:
    assert with_peer(told, "x", present=present) == expected


@pytest.mark.parametrize("text", ["orders", "databases/team-a/orders", "databases.a.b/team-a", "d.a.b/n/x/y"])
def test_what_names_no_instance_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(Refused, match="plural.group/namespace/name"):
        parts(text)


async def test_two_instances_are_opened_and_closed(world: World) -> None:
    await world.offered("Small", "small", parameters=[])
    for name in ("one", "two"):
        await world.order("Small", name)
        await world.ready("Small", name)
    kind = world.kind("Small")
    one, two = (f"{kind.plural}.{kind.group}/{world.namespace}/{name}" for name in ("one", "two"))

    def run(*arguments: str) -> str:
        command = [str(world.stack.layout.bin / "chandlery"), "network", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    async def annotations() -> list[Any]:
        found = [await world.instance("Small", name) for name in ("one", "two")]
        return [(each or {})["metadata"]["annotations"]["chandlery.dev/network-peers"] for each in found]

    assert run("allow", one, two) == f"{one} is open to {two}\n{two} is open to {one}\n"
    assert await annotations() == [two, one]
    assert run("deny", one, two) == f"{one} is closed to {two}\n{two} is closed to {one}\n"
    assert await annotations() == ["", ""]
