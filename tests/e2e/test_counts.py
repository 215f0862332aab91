"""Of many who order at once in a Consumer's namespace, the API server itself lets in as many as are allowed."""

import asyncio

from shared.counts import COUNTS, counts
from shared.errors import ApiError
from shared.resources import CONSUMERS, RESOURCE_QUOTAS
from tests.e2e.test_access import Access, access, order

__all__ = ["access"]

MOST, WANTED = 3, 20


async def test_of_twenty_creates_at_once_exactly_three_pass(access: Access) -> None:
    world = access.world
    limits = {"limits": {"instancesPerNamespace": MOST}}
    name = await world.offered("Small", "small", policies=limits)
    await access.consumer("a", name)
    alice, ours = await access.as_(CONSUMERS, "a"), access.name("a")

    async def counted() -> bool:
        """At one of the ticks, once Kubernetes knows the kind."""
        await access.tick()
        await asyncio.sleep(2)
        found = (await world.cluster.list(RESOURCE_QUOTAS, ours, labels=COUNTS))["items"]
        return bool(found) and all(counts(each) for each in found)

    await world.eventually(counted, "Kubernetes counts the instances", limit=120)

    async def create(number: int) -> str:
        try:
            await alice.create(world.kind("Small"), order(f"i-{number}", ours))
        except ApiError as error:
            assert error.status == 403
            return error.message
        return ""

    said = await asyncio.gather(*[create(number) for number in range(WANTED)])
    refusals = [each for each in said if each]
    assert len(refusals) == WANTED - MOST
    assert all("exceeded quota" in each and f"count/smalls.{world.kind('Small').group}" in each for each in refusals)

    await world.offered("Small", "small")  # without limits

    async def free() -> bool:
        await access.tick()
        await asyncio.sleep(1)
        return not (await world.cluster.list(RESOURCE_QUOTAS, ours, labels=COUNTS))["items"]

    await world.eventually(free, "the count is gone")
