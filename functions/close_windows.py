"""Bring the ledger's hours up to their readings, and tell each hour of each instance that was written.

Several may do so at once: whatever they tell twice has the same id.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog

from events.ticks import Ticked
from shared.brokers import Brokers
from shared.errors import RetryLater
from shared.function import envelope_of, function
from shared.metering.ledger import Ledger
from shared.metering.outbox import Due

AT_ONCE = 200
SENT_AT_ONCE = 16
KEEP = timedelta(days=40)
"""Readings in full: a month, and the time until its invoice is written."""
THIN_EVERY = timedelta(days=1)

log = structlog.get_logger()


async def close_windows(_: Ticked, ledger: Ledger, brokers: Brokers) -> None:
    await ledger.materialise()
    while due := await ledger.untold(AT_ONCE):
        await tell(due, ledger, brokers)
    await thin(ledger, datetime.now(UTC))


async def tell(due: list[Due], ledger: Ledger, brokers: Brokers) -> None:
    turns = asyncio.Semaphore(SENT_AT_ONCE)

    async def send(each: Due) -> Due:
        async with turns:
            await brokers.send("usage", envelope_of(each.said, "/chandlery/close_windows", each.identity))
        return each

    answers = await asyncio.gather(*[send(each) for each in due], return_exceptions=True)
    await ledger.told([each for each in answers if isinstance(each, Due)])
    for failed in answers:
        if isinstance(failed, BaseException):
            raise failed


async def thin(ledger: Ledger, now: datetime) -> None:
    if await ledger.final() > now - KEEP - THIN_EVERY:
        return
    try:
        gone = await ledger.thin(KEEP, now)
    except RetryLater as later:
        log.info("not thinned", why=str(later))
    else:
        log.info("thinned", readings=gone)


main = function(close_windows, Ledger, Brokers, at_once=1)
