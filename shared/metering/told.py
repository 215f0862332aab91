"""One hour of an instance in the units people read, for its status. Pure."""

import json
from decimal import Decimal
from typing import Any

from events.readings import CUSTOM
from events.usage import Amount, UsageRecorded
from shared.metering.prices import EXACT, UNITS, quantity_of, unit_of
from shared.metering.usage import Tenure, Usage

SHOWN = Decimal("1e-6")
CUSTOM_LIMIT = 50
"""Of metrics of one's own; a status is no place for more."""
FIELDS = {
    "instanceHours": "instance-hour",
    "cpuCoreHours": "cpu-core-hour",
    "memoryGiBHours": "memory-gib-hour",
    "storageGiBHours": "storage-gib-hour",
}
NETWORK = {"receivedGiB": "network-received-gib", "transmittedGiB": "network-transmitted-gib"}


def status_of(event: UsageRecorded) -> dict[str, Any]:
    """Everything that was measured; what was not is left out. Numbers are rounded to six decimals."""
    amounts = {each.metric: each for each in event.amounts}

    def several(fields: dict[str, str]) -> dict[str, float]:
        return {
            field: shown(amounts[UNITS[per].metric], per)
            for field, per in fields.items()
            if UNITS[per].metric in amounts
        }

    names = sorted(name for name in amounts if name.startswith(CUSTOM))[:CUSTOM_LIMIT]
    custom = {name.removeprefix(CUSTOM): shown(amounts[name], name) for name in names}
    network = several(NETWORK)
    return {
        "start": f"{event.start:%FT%TZ}",
        "end": f"{event.end:%FT%TZ}",
        "revision": event.revision,
        "plan": event.plan,
        **several(FIELDS),
        **({"network": network} if network else {}),
        **(
            {"custom": {name.removeprefix(CUSTOM): custom[name] for name in [*custom][:CUSTOM_LIMIT]}} if custom else {}
        ),
        "gapSeconds": gap_seconds(event.amounts),
    }


def shown(amount: Amount, per: str) -> float:
    used = Usage(Tenure(), amount.metric, amount.type, amount.amount, amount.gap_ms)
    found = float(quantity_of(amount.amount, unit_of(per, used)).quantize(SHOWN, context=EXACT))
    return int(found) if found.is_integer() else found  # as it comes back from the API server


def gap_seconds(amounts: list[Amount]) -> int:
    """Of the metric that was missed longest: one tick that failed is a gap in each of them."""
    return max((each.gap_ms for each in amounts), default=0) // 1000


def newer(event: UsageRecorded, known: dict[str, Any]) -> bool:
    """Whether the event says more than what is on the instance. Of two orders of events the same one wins."""
    said = status_of(event)
    return order(said) > order(known)


def order(usage: dict[str, Any]) -> tuple[str, int, str, str]:
    """Later hours first, then later revisions; between what is left any order does, as long as it is one."""
    revision = usage.get("revision", 0)
    return str(usage.get("start", "")), revision, str(usage.get("plan", "")), json.dumps(usage, sort_keys=True)
