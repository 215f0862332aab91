"""How large, how fast: `python -m tests.ledger_bench [--readings N] [--database sqlite|postgresql]`; prints JSON.

1,000 instances of 3 pods with 12 metrics each, a tick every 30 s: 36,000 readings a tick. When all ticks are in and in
their windows, a month of windows is laid beside them, as 1,000 instances leave it behind, and a month's invoice of one
consumer and of all 1,000 instances is timed. CPU is this process's: PostgreSQL's own is not in it.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import BigInteger, literal, select, text, true

from events.readings import TYPES, Kind, Reading, Subject
from shared.metering.derive import DAY_MS, HOUR_MS
from shared.metering.invoice import totals as sums
from shared.metering.ledger import Ledger
from shared.metering.prices import UNITS, Price
from shared.metering.sql import insert, transaction
from shared.metering.tables import metrics, tenures, totals
from shared.metering.times import DAY, HOUR, MONTH, ms_of
from tests.shared.metering.databases import Postgres, programs

INSTANCES, PODS, TICK = 1000, 3, timedelta(seconds=30)
START = datetime(2026, 10, 1, tzinfo=UTC)
NEXT = datetime(2026, 11, 1, tzinfo=UTC)
METRICS = sorted(TYPES)[:12]
CONSUMERS = 50
AMOUNTS = (9, 123_456_789, 0)


def subjects(at: datetime) -> list[Subject]:
    return [
        Subject(
            uid=f"0b3e7c1a-6f0e-4b5e-9d3c-{instance:06d}{pod:06d}",
            kind="pod",
            name=f"orders-{pod}",
            namespace=f"database-team-{instance}",
            instance_uid=f"1f3e7c1a-6f0e-4b5e-9d3c-{instance:012d}",
            instance=f"team-{instance}/orders",
            offering=f"database-{instance % 10}",
            plan="small",
            consumer_namespace=f"team-{instance}",
            consumer=f"consumer-{instance % CONSUMERS}",
            node=f"node-{(instance * PODS + pod) % 100}",
            started_at=START,
            seen_last=at,
        )
        for instance in range(INSTANCES)
        for pod in range(PODS)
    ]


def readings(whose: list[Subject], at: datetime, tick: int) -> list[Reading]:
    """Not validated one by one: what is measured is the ledger."""
    kind: Kind = "pod"
    return [
        Reading.model_construct(
            subject=each.uid,
            kind=kind,
            metric=metric,
            at=at,
            value=tick * 1_234_567_891 if TYPES[metric] == "counter" else 2**31 + tick % 1000 * 4096,
            node=each.node,
            counter=None,
        )
        for each in whose
        for metric in METRICS
    ]


async def fill(ledger: Ledger, count: int) -> dict[str, float]:
    added, recording, tick, started, busy = 0, 0.0, 0, time.perf_counter(), 0.0
    at = START
    while added < count:
        at = START + tick * TICK
        whose = subjects(at)
        batch = readings(whose, at, tick)
        before, used = time.perf_counter(), time.process_time()
        added += (await ledger.record(batch, whose, at)).added
        recording += time.perf_counter() - before
        busy += time.process_time() - used
        tick += 1
        print(f"{added} {time.perf_counter() - started:.0f}s", file=sys.stderr)
    before = time.perf_counter()
    await ledger.materialise(at + timedelta(hours=2))
    return {
        "readings": added,
        "readings_per_s": round(added / recording),
        "readings_per_cpu_s": round(added / busy),
        "materialised_per_s": round(added / (time.perf_counter() - before)),
    }


def month() -> Iterator[tuple[int, int]]:
    """Of the hours and days after those that were filled, and of the month."""
    yield MONTH, ms_of(START)
    yield from ((DAY, ms_of(START) + day * DAY_MS) for day in range(1, 31))
    yield from ((HOUR, ms_of(START) + hour * HOUR_MS) for hour in range(24, 31 * 24))


async def lay_month(ledger: Ledger) -> None:
    """The sums of a month as they would be, written straight."""
    names = ("span", "start_ms", "tenure", "metric", "giga", "units", "gap_ms")
    for span, start in month():
        async with transaction(ledger._engine) as connection:
            when, amounts = ([literal(each, BigInteger()) for each in some] for some in ((span, start), AMOUNTS))
            of = tenures.join(metrics, true())
            given = select(*when, tenures.c.id, metrics.c.id, *amounts).select_from(of).where(tenures.c.id > 0)
            add = insert(connection.dialect.name, totals).from_select(list(names), given)
            await connection.execute(add.on_conflict_do_nothing())


async def timed(work: Any) -> tuple[float, Any]:
    before = time.perf_counter()
    done = await work
    return round(time.perf_counter() - before, 3), done


async def questions(ledger: Ledger) -> dict[str, Any]:
    await ledger.note_prices(
        [
            Price(f"database-{index}", "", per, Decimal("0.0412"), "EUR", START)
            for index in range(10)
            for per in UNITS
            if per != "storage-gib-hour"
        ],
        START - timedelta(days=1),
    )
    invoice_s, invoice = await timed(ledger.invoice("consumer-7", START, NEXT))
    all_s, charges = await timed(ledger.charges(START, NEXT))
    days_s, _ = await timed(ledger.usage(START + timedelta(days=1), NEXT - timedelta(days=1)))
    ragged_s, _ = await timed(ledger.usage(START + timedelta(hours=25), NEXT - timedelta(hours=1)))
    one_s, _ = await timed(ledger.usage(START, NEXT, {"instance": ["team-7/orders"]}))
    return {
        "invoice_s": invoice_s,
        "invoice_lines": len(invoice.lines),
        "all_invoices_s": all_s,
        "all_lines": len(charges),
        "total": {currency: str(amount) for currency, amount in sums(charges).items()},
        "usage_29_days_s": days_s,
        "usage_ragged_month_s": ragged_s,
        "usage_one_instance_s": one_s,
    }


async def size(ledger: Ledger) -> int:
    """Bytes on disk of all that is there."""
    async with transaction(ledger._engine, reading=True) as connection:
        if connection.dialect.name == "postgresql":
            return int(await connection.scalar(text("SELECT pg_database_size(current_database())")))
        pages = await connection.scalar(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
        return int(pages)


async def measured(url: str, count: int) -> dict[str, Any]:
    began = time.process_time()
    ledger = await Ledger.open(url)
    filled = await fill(ledger, count)
    taken = await size(ledger)
    laid_s, _ = await timed(lay_month(ledger))
    asked = await questions(ledger)
    await ledger.close()
    used = round(time.process_time() - began, 1)
    sizes = {"mb": round(taken / 1e6), "bytes_per_reading": round(taken / filled["readings"], 1)}
    return {**filled, **sizes, "month_laid_s": laid_s, "cpu_s": used, **asked}


def bench(database: str, count: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="lb", ignore_cleanup_errors=True) as folder:
        if database == "sqlite":
            return asyncio.run(measured(f"sqlite+aiosqlite:///{folder}/ledger.db", count))
        found = programs()
        if found is None:
            raise SystemExit("PostgreSQL's server programs are missing: apt-get install postgresql")
        Path(folder).chmod(0o755)
        server = Postgres(found, Path(folder) / "s")
        server.make()
        server.start()
        try:
            return asyncio.run(measured(server.database(), count))
        finally:
            server.stop()


def both(count: int) -> dict[str, Any]:
    """Of the databases that are there."""
    return {name: bench(name, count) for name in ("sqlite", *(["postgresql"] if programs() else []))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--readings", type=int, default=10_000_000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    chosen = parser.parse_args()
    databases = chosen.database or ["sqlite", "postgresql"]
    print(json.dumps({name: bench(name, chosen.readings) for name in databases}))
