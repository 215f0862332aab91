"""Put readings into the ledger, once each: all of an event or nothing, however often and in whatever order it comes."""

import structlog
from prometheus_client import Counter

from events.usage import UsageMeasured
from shared.function import function
from shared.metering.ledger import Ledger

RECORDED = Counter("chandlery_ledger_readings", "Readings that came, by what the ledger did with them", ["outcome"])
SHOWN = 5

log = structlog.get_logger()


async def record_usage(event: UsageMeasured, ledger: Ledger) -> None:
    recorded = await ledger.record(event.readings, event.subjects)
    RECORDED.labels("added").inc(recorded.added)
    RECORDED.labels("known").inc(recorded.known)
    RECORDED.labels("refused").inc(len(recorded.refused))
    if recorded.refused:
        log.warning("readings refused", count=len(recorded.refused), first=recorded.refused[:SHOWN])


main = function(record_usage, Ledger)
