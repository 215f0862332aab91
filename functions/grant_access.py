"""Put in force what was reviewed: who may do what for an Offering. Nobody else touches its roles.

Then, and only then, the Offering is Ready; or it says what stands in the way, whichever step found it.
"""

from events.access import AccessGranted
from events.apis import ApiPublished, ApiRefused
from events.offerings import OfferingWithdrawn
from shared import granting
from shared.cluster import Cluster
from shared.conditions import Condition, condition, find
from shared.function import function
from shared.offering import Offering
from shared.reports import offering_of, report_offering


def obstacle(offering: Offering) -> Condition | None:
    """The first step that refused it as it stands; None when all is well."""
    steps = [find(offering.status.conditions, kind) for kind in ("ChartReady", "Published")]
    return next((step for step in steps if step and not step.true), None)


def current(offering: Offering) -> bool:
    """Whether its steps before this one have spoken of it as it stands: up to the one that refused."""
    for kind in ("ChartReady", "Published"):
        step = find(offering.status.conditions, kind)
        if step is None or step.observed_generation != offering.metadata.generation:
            return False
        if not step.true:
            return True
    return True


async def grant_access(event: ApiPublished | ApiRefused | OfferingWithdrawn, cluster: Cluster) -> AccessGranted | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None:
        return None
    if offering.withdrawn:
        await granting.grant_functions(cluster, offering)  # without them it could not be taken down
        return None
    if not current(offering):
        return None  # a newer one is on its way
    generation = offering.metadata.generation
    if said := obstacle(offering):
        await granting.grant_functions(cluster, offering)
        ready = condition("Ready", False, said.reason, said.message, generation)
        await report_offering(cluster, offering, "grant_access", [ready])
        return None
    await granting.grant(cluster, offering)
    ready = condition("Ready", True, "Published", f"consumers can order a {offering.spec.api.kind}", generation)
    await report_offering(cluster, offering, "grant_access", [ready])
    return AccessGranted(offering=event.offering, generation=generation)


main = function(grant_access, Cluster)
