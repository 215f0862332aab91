"""The example that docs/metering.md works out: an instance that ran for ten hours, and ten minutes nobody measured."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from events.readings import (
    CAPACITY_CPU,
    CAPACITY_MEMORY,
    CPU,
    INSTANCE_PRESENT,
    MEMORY,
    NETWORK_TRANSMITTED,
    REQUESTS_CPU,
    REQUESTS_MEMORY,
    VOLUME_CAPACITY,
    Reading,
    Subject,
)
from shared.metering.ledger import Ledger
from shared.metering.prices import Price
from tests.shared.metering.builders import reading, subject

START = datetime(2025, 11, 15, 20, tzinfo=UTC)
END = START + timedelta(hours=10)
NOVEMBER = datetime(2025, 11, 1, tzinfo=UTC)
LATER = datetime(2025, 12, 2, tzinfo=UTC)
TICK = 120
MISSED = range(3601, 4200)
GIB = 2**30
PRICES = [
    ("instance-hour", "0.01", NOVEMBER),
    ("cpu-core-hour", "0.04", NOVEMBER),
    ("cpu-core-hour", "0.05", NOVEMBER + timedelta(days=15)),
    ("memory-gib-hour", "0.005", NOVEMBER),
    ("storage-gib-hour", "0.0001", NOVEMBER),
    ("network-transmitted-gib", "0.09", NOVEMBER),
]


def prices() -> list[Price]:
    return [Price("database", "", per, Decimal(amount), "EUR", since) for per, amount, since in PRICES]


def ticks() -> list[int]:
    return [second for second in range(0, 36_001, TICK) if second not in MISSED]


def readings() -> list[Reading]:
    found = []
    for second in ticks():
        at = START + timedelta(seconds=second)
        found += [
            reading(0, second * 10**9 // 2, CPU, at=at),
            reading(0, 2 * GIB, MEMORY, at=at),
            reading(0, second * GIB // 3600, NETWORK_TRANSMITTED, at=at),
            reading(0, 500, REQUESTS_CPU, at=at),
            reading(0, 2 * GIB, REQUESTS_MEMORY, at=at),
            reading(0, 20 * GIB, VOLUME_CAPACITY, at=at, subject="volume-1", kind="volume"),
            reading(0, 1, INSTANCE_PRESENT, at=at, subject="instance-1", kind="instance"),
            reading(0, 2000, CAPACITY_CPU, at=at, subject="node-1", kind="node"),
            reading(0, 8 * GIB, CAPACITY_MEMORY, at=at, subject="node-1", kind="node"),
        ]
    return found


def subjects() -> list[Subject]:
    node = Subject(uid="node-1", kind="node", name="node-1", node="node-1", seen_last=START)
    found = [
        subject(0, seen_last=START, started_at=START),
        subject(0, seen_last=START, uid="volume-1", kind="volume", name="data", node=None),
        subject(0, seen_last=START, uid="instance-1", kind="instance", name="orders", node=None),
    ]
    return [*found, node, *(each.model_copy(update={"seen_last": END, "ended": True}) for each in found)]


async def write(ledger: Ledger) -> None:
    await ledger.note_prices(prices(), NOVEMBER - timedelta(days=1))
    await ledger.record(readings(), subjects(), END)
    await ledger.materialise(LATER)
