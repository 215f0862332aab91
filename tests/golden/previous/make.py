"""What the release before this one left behind, made by its own code.

`make previous` at a release's tag, when it is out: the next one's tests start from what it writes here. Until the first
tag it is commit b0ac4f3, whose ledger has the first tables only: `git archive` it somewhere, and run this file there
with PYTHONPATH=. and this folder as its argument.
"""

import asyncio
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from events.readings import CPU, MEMORY, Reading, Subject
from shared.metering.ledger import Ledger
from shared.metering.prices import Price

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(hours=6)
TICKS, EACH = 46, 120
CORES_NS = 250_000_000  # a second: a quarter of a core


def told() -> tuple[list[Reading], list[Subject]]:
    """A pod for an hour and a half, under one tenure."""
    times = [START + timedelta(seconds=EACH * tick) for tick in range(TICKS)]
    figures = {
        CPU: [250_000_000 * EACH * tick for tick in range(TICKS)],
        MEMORY: [1_000 + tick for tick in range(TICKS)],
    }
    read = [
        Reading(subject="pod-1", kind="pod", metric=metric, at=at, value=value)
        for metric, values in figures.items()
        for at, value in zip(times, values, strict=True)
    ]
    seen = Subject(
        uid="pod-1",
        kind="pod",
        name="orders-0",
        namespace="database-team-a-orders",
        instance_uid="instance-1",
        instance="team-a/orders",
        offering="database",
        plan="small",
        consumer_namespace="team-a",
        consumer="team-a",
        node="node-1",
        seen_last=times[-1],
    )
    return read, [seen]


async def fill(url: str) -> str:
    """The invoice, as JSON, by the code that is here."""
    ledger = await Ledger.open(url)
    read, seen = told()
    await ledger.record(read, [seen[0].model_copy(update={"seen_last": START}), *seen], END)
    await ledger.note_prices([PRICE], START)
    await ledger.materialise(END)
    found = await ledger.invoice("team-a", START, END)
    await ledger.close()
    return repr(found)


PRICE = Price(
    offering="database", plan="small", per="cpu-core-hour", valid_from=START, currency="EUR", amount=Decimal("4")
)


def main(folder: Path) -> None:
    with TemporaryDirectory() as work:
        path = Path(work) / "ledger.db"
        invoice = asyncio.run(fill(f"sqlite+aiosqlite:///{path}"))
        with sqlite3.connect(path) as database:
            (folder / "ledger.sql").write_text("\n".join(database.iterdump()) + "\n")
    (folder / "invoice.txt").write_text(invoice + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent)
