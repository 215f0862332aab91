"""Records and materialises until it is killed: `python -m tests.shared.metering.recorder URL SECOND`.

It says the second up to which it has recorded after each batch, on a line of its own.
"""

import asyncio
import sys

from events.readings import MEMORY
from shared.errors import RetryLater
from shared.metering.ledger import Ledger
from tests.shared.metering.builders import T0, at, reading, subject

EACH = 120


async def main(url: str, first: int) -> None:
    ledger = await Ledger.open(url)
    second = first
    while True:
        read = [reading(second, second * 1000), reading(second, 10**9, MEMORY)]
        try:
            await ledger.record(read, [subject(second, started_at=T0)], at(second))
            await ledger.materialise(at(second))
        except RetryLater:
            continue
        print(second, flush=True)
        second += EACH


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
