"""Look whether every instance is isolated as promised, and say so on it: what was applied need not be in force."""

import asyncio
from datetime import UTC, datetime

from events.ticks import Ticked
from shared.cluster import Cluster
from shared.conditions import condition
from shared.function import function
from shared.isolation import verdict
from shared.reports import report_instance
from shared.verification import Verification

EVERY_SECONDS = 600


def due(now: float, period: float) -> bool:
    """Whether a multiple of EVERY_SECONDS lies between the last tick and this one."""
    return now // EVERY_SECONDS != (now - period) // EVERY_SECONDS


async def verify_isolation(event: Ticked, cluster: Cluster) -> None:
    if not due(datetime.now(UTC).timestamp(), event.seconds):
        return
    seen = await Verification(cluster).look()
    said = []
    for name, (key, instance) in seen.instances.items():
        theirs = [each for each in seen.findings if each.subject == name]
        well, message = verdict(theirs)
        reason = "AsPromised" if well else "NotIsolated"
        verified = condition("Verified", well, reason, message, instance.generation)
        said.append(report_instance(cluster, key, instance, "verify_isolation", [verified]))
    await asyncio.gather(*said)


main = function(verify_isolation, Cluster, at_once=1)
