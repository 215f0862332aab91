"""What the ledger says an instance consumed, held against what its pod knows it used: the whole way, on a real node.

The bounds are those of docs/node.md: the kubelet's samples are up to 14 s old, a tick comes every 30 s, the sandbox and
headers are charged, too.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from events.readings import CPU, MEMORY, NETWORK_TRANSMITTED, VOLUME_USED
from shared.metering.ledger import Ledger
from tests.e2e.world import World
from tests.node.load import KIND, Load, loaded

pytestmark = [pytest.mark.node, pytest.mark.timeout(600)]

MIB = 1 << 20
SERVED = "custom:load_served_bytes_total"
TICKS = 100.0
"""Seconds in which two ticks surely have passed, and what was sampled before is in the ledger."""


@dataclass
class Billed:
    load: Load
    uid: str
    ledger: Ledger

    async def used(self) -> dict[str, int]:
        now = datetime.now(UTC)
        start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
        found = await self.ledger.usage(start, start + timedelta(hours=3), {"instance_uid": [self.uid]}, live=now)
        return {each.metric: each.amount for each in found}

    async def reaches(self, metric: str, least: float) -> int:
        async def seen() -> int | None:
            amount = (await self.used()).get(metric, 0)
            return amount if amount >= least else None

        return await self.load.world.eventually(seen, f"{metric} reaches {least:g}", self.used, limit=TICKS)


@pytest.fixture
async def billed(world: World) -> AsyncIterator[Billed]:
    volume = {"size": "64Mi", "fill": 30 * MIB}
    load = await loaded(world, "billed", cpu={"burn": "5s"}, memory={"hold": 40 * MIB}, volume=volume)
    found = await world.instance(KIND, "billed")
    assert found
    ledger = await Ledger.open(f"sqlite+aiosqlite:///{world.stack.layout.ledger}")
    yield Billed(load, found["metadata"]["uid"], ledger)
    await ledger.close()


async def test_the_ledger_agrees_with_the_pod(billed: Billed) -> None:
    """From its first second to its last, which no tick has seen."""
    load = billed.load
    load.serve(50 * MIB)
    own = load.used()
    cpu = await billed.reaches(CPU, own["cpu_seconds_total"] * 1e9)
    assert cpu <= (load.used()["cpu_seconds_total"] + 0.5) * 1e9
    sent = await billed.reaches(NETWORK_TRANSMITTED, 50 * MIB)
    assert sent <= 56 * MIB
    assert await billed.reaches(SERVED, own["served_bytes_total"] * 1000) == own["served_bytes_total"] * 1000
    filled = await billed.reaches(VOLUME_USED, 30 * MIB * 1000)
    more = await billed.reaches(VOLUME_USED, filled + 1)
    assert 10 <= (more - filled) / 1000 / (30 * MIB) <= 60  # seconds that a volume of 30 MiB was held, by the next tick
    held = (await billed.used())[MEMORY]
    assert held >= 40 * MIB * 1000

    load.serve(20 * MIB)
    await load.world.delete(KIND, load.name)
    await load.world.gone(KIND, load.name, billed.uid)
    after = await billed.used()
    assert after[CPU] >= cpu
    assert after[NETWORK_TRANSMITTED] <= 78 * MIB
