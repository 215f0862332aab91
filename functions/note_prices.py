"""Make known to the ledger what an Offering asks for, once it is published; and say so, or why not.

The ledger only takes prices that are new to it. So one that was changed, or taken out while it still counts, is refused
here and the old one goes on: `Priced` says which field, why, and what to do.
"""

from collections.abc import Iterable, Sequence

from events.apis import ApiPublished
from shared.cluster import Cluster
from shared.conditions import Condition, condition, find
from shared.errors import Refused
from shared.function import function
from shared.lifetime import opened
from shared.metering.ledger import Ledger
from shared.metering.prices import OfferedPrice, Price, priced
from shared.offering import Offering
from shared.reports import offering_of, report_offering

FIELD = "spec.metering.prices"
SHOWN = 5


def wanted(offering: Offering) -> list[Price]:
    """Raises Refused with the first price that can't be meant."""
    offered = offering.spec.metering.prices
    plans = {plan.name for plan in offering.spec.plans}
    found: dict[tuple[str, str, object], int] = {}
    for index, each in enumerate(offered):
        if each.plan is not None and each.plan not in plans:
            raise Refused("NoSuchPlan", f"{FIELD}[{index}].plan: there is no plan {each.plan} in spec.plans")
        first = found.setdefault((each.plan or "", each.per, each.valid_from), index)
        if first != index:
            why = f"{named(each)} has a price already, in {FIELD}[{first}]"
            raise Refused("PriceTwice", f"{FIELD}[{index}]: {why}; take one out, or give it another validFrom")
    return priced(offering.metadata.name, offered)


def named(each: OfferedPrice | Price) -> str:
    return f"{each.per} of plan {each.plan}" if each.plan else each.per


def missing(asked: Iterable[Price], counting: Iterable[Price], offering: str) -> list[Price]:
    """What the ledger charges, or is going to, and the Offering says nothing about."""
    said = {(each.plan, each.per) for each in asked}
    newest: dict[tuple[str, str], Price] = {}
    for each in counting:
        if each.offering == offering and (each.plan, each.per) not in said:
            known = newest.get((each.plan, each.per))
            if known is None or known.valid_from < each.valid_from:
                newest[each.plan, each.per] = each
    return [each for _, each in sorted(newest.items()) if each.amount]


def judged(asked: Sequence[Price], counting: Sequence[Price], offering: Offering) -> Condition:
    """All that is asked for is in the ledger; whether that is all that counts."""
    generation = offering.metadata.generation
    if gone := missing(asked, counting, offering.metadata.name):
        which = "; ".join(f"{named(each)} costs {each.amount} {each.currency}" for each in gone[:SHOWN])
        fix = "say them again, and end each with an amount of '0' and a new validFrom"
        return condition("Priced", False, "PriceMissing", f"{FIELD}: {which}, and goes on to; {fix}", generation)
    if not asked:
        return condition("Priced", True, "Free", "nothing is charged", generation)
    late = [each for each in asked if each.valid_from.year > 1970 and each not in counting]
    note = "".join(
        f"; {named(each)} became known after {each.valid_from:%FT%TZ} and counts from then" for each in late[:SHOWN]
    )
    return condition("Priced", True, "Noted", f"in the ledger: {len(asked)} of {len(asked)}{note}", generation)


async def note_prices(event: ApiPublished, cluster: Cluster) -> None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or offering.withdrawn or offering.metadata.generation != event.generation:
        return  # another event is on its way
    if not offering.spec.metering.prices and find(offering.status.conditions, "Priced") is None:
        return  # there never was a price, and there may be no ledger
    try:
        said = await noted(offering)
    except Refused as refused:
        said = condition("Priced", False, refused.reason, refused.message, event.generation)
    await report_offering(cluster, offering, "note_prices", [said])


async def noted(offering: Offering) -> Condition:
    asked = wanted(offering)
    ledger = await opened(Ledger)
    await ledger.note_prices(asked)
    return judged(asked, await ledger.prices(), offering)


main = function(note_prices, Cluster)
