"""Look whether every instance is isolated as promised, and say so on it: what was applied need not be in force."""

import asyncio
from datetime import UTC, datetime

from events.ticks import Ticked
from shared.cluster import Cluster
from shared.conditions import condition
from shared.errors import Conflict
from shared.function import function
from shared.isolation import verdict
from shared.reports import report_instance
from shared.verification import One, Seen, Verification

EVERY_SECONDS = 600
AGAIN_SECONDS = 5
AT_ONCE = 8


def due(now: float, period: float) -> bool:
    """Whether a multiple of EVERY_SECONDS lies between the last tick and this one."""
    return now // EVERY_SECONDS != (now - period) // EVERY_SECONDS


def lasting(first: Seen, second: Seen) -> Seen:
    """What was wrong both times: the rest was merely on its way, or was being mended."""
    before = {each for each in first.findings if each.verdict == "wrong"}
    return Seen([each for each in second.findings if each.verdict != "wrong" or each in before], second.instances)


async def look(cluster: Cluster) -> Seen:
    first = await Verification(cluster).look()
    if all(each.verdict != "wrong" for each in first.findings):
        return first
    await asyncio.sleep(AGAIN_SECONDS)
    return lasting(first, await Verification(cluster).look())


async def verify_isolation(event: Ticked, cluster: Cluster) -> None:
    if not due(datetime.now(UTC).timestamp(), event.seconds):
        return
    seen = await look(cluster)
    turns = asyncio.Semaphore(AT_ONCE)

    async def tell(one: One) -> None:
        well, reason, message = verdict(seen.of(one))
        verified = condition("Verified", well, reason, message, one.instance.generation)
        async with turns:
            try:
                await report_instance(cluster, one.key, one.instance, "verify_isolation", [verified])
            except Conflict:
                return  # a namesake stands there now: the next look is at that one

    await asyncio.gather(*map(tell, seen.instances))


main = function(verify_isolation, Cluster, at_once=1)
