"""Collector and recorder are killed at any moment, ever again: in the end the ledger says what was consumed."""

import asyncio
import contextlib
from xmlrpc.client import Fault

import pytest

from events.readings import CPU
from events.ticks import Ticked
from tests.e2e.test_faults import fault_cluster, post, world
from tests.e2e.test_metering import Metered, metered

__all__ = ["fault_cluster", "metered", "world"]

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

SECOND = 10**9


@pytest.mark.parametrize("name", ["collect-usage", "record-usage", "close-windows"])
async def test_a_function_of_metering_is_killed_at_any_moment(metered: Metered, name: str) -> None:
    said = metered.world
    pods: list[str] = []
    kills = 0
    for step in range(1, 9):
        pods = await metered.used_so_far(step * SECOND)
        await tick(metered, step)
        await asyncio.sleep(0.04 * step)
        with contextlib.suppress(Fault):  # it has not come back from the last time
            said.stack.signal(name, "KILL")
            kills += 1
        await asyncio.sleep(2)
    assert kills > 2
    count = 100

    async def agrees() -> bool:
        nonlocal count
        count += 1
        await tick(metered, count)
        await asyncio.sleep(2)
        return (await metered.ledger()).get(CPU) == len(pods) * 8 * SECOND

    await said.eventually(agrees, "the ledger says what was consumed", metered.ledger)


async def tick(metered: Metered, count: int) -> None:
    await post(metered.world, Ticked(seconds=30), metered.world.id, count, broker="usage")
