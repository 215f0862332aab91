"""No race lets in more than an Offering allows."""

import asyncio
from typing import Any

from tests.e2e.world import World, conditions

MOST, WANTED = 10, 50


async def states(world: World, names: list[str]) -> dict[str, dict[str, Any]]:
    found = await asyncio.gather(*[world.instance("Small", name) for name in names])
    return {name: conditions(each).get("Accepted", {}) for name, each in zip(names, found, strict=True)}


async def test_of_fifty_at_once_exactly_ten_are_let_in_and_a_place_that_is_freed_is_taken(world: World) -> None:
    limits = {"limits": {"instances": MOST}}
    await world.offered("Small", "small", parameters=[{"path": "message"}], policies=limits)
    names = [f"i-{number}" for number in range(WANTED)]
    await asyncio.gather(*[world.order("Small", name, message=name) for name in names])

    async def decided() -> dict[str, dict[str, Any]] | None:
        found = await states(world, names)
        return found if all(found.values()) else None

    found = await world.eventually(decided, "each was accepted or refused")
    accepted = [name for name, each in found.items() if each["status"] == "True"]
    refused = [each for each in found.values() if each["status"] == "False"]
    assert (len(accepted), len(refused)) == (MOST, WANTED - MOST)
    assert {each["reason"] for each in refused} == {"LimitReached"}
    assert f"allows {MOST} instances, and there are {MOST}" in refused[0]["message"]

    await world.delete("Small", accepted[0])
    others = [name for name in names if name not in accepted]

    async def one_more() -> bool:
        return sum(each.get("status") == "True" for each in (await states(world, others)).values()) == 1

    await world.eventually(one_more, "one that waited was let in")


async def test_after_its_last_day_an_offering_takes_no_new_instances_and_keeps_the_old(world: World) -> None:
    await world.offered("Small", "small", parameters=[{"path": "message"}])
    await world.order("Small", "old")
    await world.ready("Small", "old")
    expired = {"limits": {"expires": "2020-01-31"}}
    await world.offered("Small", "small", parameters=[{"path": "message"}], policies=expired)
    await world.order("Small", "new")
    said = await world.says("Small", "new", "Accepted", "Expired")
    assert "since 2020-01-31" in said["message"]
    await world.order("Small", "old", message="changed")
    await world.ready("Small", "old")
