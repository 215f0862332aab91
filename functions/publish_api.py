"""Turn a registered chart into the consumer API: generate the CRD, apply it, and say when it serves."""

import asyncio
from typing import Any

from events.apis import ApiPublished, ApiRefused
from events.charts import ChartRefused, ChartRegistered
from shared import charts, rights
from shared.cluster import Cluster
from shared.conditions import Condition, condition, find
from shared.errors import Conflict, Gone, Invalid, Refused, RetryLater
from shared.function import function
from shared.offering import Offering, OfferingSpec, Policies
from shared.reports import document_offering, offering_of, report_offering
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS
from shared.schema import OFFERING_LABEL, ConsumerApi, api_for
from shared.store import ChartStore
from shared.values import format_path

ESTABLISH_SECONDS = 10


def not_enforced(spec: OfferingSpec) -> list[str]:
    """What the Offering asks for and no function does yet: better said than silently left out."""
    policies = spec.policies.model_dump(by_alias=True)
    defaults = Policies().model_dump(by_alias=True)
    enforced = ("podSecurity", "clusterScoped")
    asked = [f"policies.{key}" for key in policies if key not in enforced and policies[key] != defaults[key]]
    return asked + [f"plans[{plan.name}].quota" for plan in spec.plans if plan.quota]


def published(offering: Offering) -> list[Condition]:
    generation = offering.metadata.generation
    missing = not_enforced(offering.spec)
    note = f"; not enforced by this version: {', '.join(missing)}" if missing else ""
    return [
        condition("Published", True, "Published", f"{offering.crd} is served{note}", generation),
        condition("Ready", True, "Published", f"consumers can order a {offering.spec.api.kind}{note}", generation),
    ]


def refused(offering: Offering, refusal: Refused) -> list[Condition]:
    return [
        condition(kind, False, refusal.reason, refusal.message, offering.metadata.generation)
        for kind in ("Published", "Ready")
    ]


async def publish_api(
    event: ChartRegistered | ChartRefused, cluster: Cluster, store: ChartStore
) -> ApiPublished | ApiRefused | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or offering.withdrawn:
        return None
    generation = offering.metadata.generation
    chart_ready = find(offering.status.conditions, "ChartReady")
    if chart_ready is None or chart_ready.observed_generation != generation:
        return None  # a newer chart is on its way
    if not chart_ready.true:
        said = condition("Ready", False, chart_ready.reason, chart_ready.message, generation)
        known = find(offering.status.conditions, "Published")
        await tell(cluster, offering, [said, *([known] if known else [])])
        return None
    try:
        api = await publish(offering, cluster, store)
    except Refused as refusal:
        await tell(cluster, offering, refused(offering, refusal))
        return ApiRefused(offering=event.offering, generation=generation, reason=refusal.reason)
    documented = await document_offering(cluster, offering, "publish_api", {"sample.yaml": api.sample})
    reserved = [format_path(path) for path in api.reserved]
    status = {"crd": offering.crd, "documentation": documented, "reserved": reserved}
    await report_offering(cluster, offering, "publish_api", published(offering), api=status)
    return ApiPublished(offering=event.offering, generation=generation, crd=offering.crd)


async def tell(cluster: Cluster, offering: Offering, conditions: list[Condition]) -> None:
    """Keeps what was said of an API that was published before."""
    known = offering.status.api.model_dump(exclude_none=True)
    await report_offering(cluster, offering, "publish_api", conditions, api=known)


async def publish(offering: Offering, cluster: Cluster, store: ChartStore) -> ConsumerApi:
    """Raises Refused with what stands in the way."""
    archive = await store.path(offering.status.chart.digest or "")
    if archive is None:
        raise RetryLater(f"chart {offering.status.chart.digest} is not in the store")
    chart = await asyncio.to_thread(charts.inspect, archive.read_bytes())
    api = await asyncio.to_thread(api_for, offering, chart)
    existing = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, offering.crd)
    check_owner(offering, existing)
    await rights.grant(cluster, offering.spec.api.group, offering.plural)
    try:
        applied = await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, api.crd, "publish_api")
    except Invalid as invalid:
        raise Refused("InvalidSchema", f"the API server refuses the generated CRD: {invalid.message}") from invalid
    if problem := await unestablished(cluster, applied):
        if existing is None:
            await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, offering.crd)
            await rights.revoke(cluster, offering.spec.api.group, offering.plural)
        raise Refused("NameTaken", f"spec.api: {problem}; choose another kind, plural or short name")
    return api


def check_owner(offering: Offering, crd: dict[str, Any] | None) -> None:
    owner = (crd or {}).get("metadata", {}).get("labels", {}).get(OFFERING_LABEL)
    if crd and owner != offering.metadata.name:
        whose = f"offering {owner}" if owner else "something other than Chandlery"
        raise Refused(
            "NameTaken", f"spec.api: {offering.crd} belongs to {whose}; choose another group, or spec.api.plural"
        )


async def unestablished(cluster: Cluster, crd: dict[str, Any]) -> str | None:
    """Waits until the API serves the kind; why it will not, or None."""
    try:
        async with asyncio.timeout(ESTABLISH_SECONDS):
            while True:
                accepted, established = (condition_of(crd, kind) for kind in ("NamesAccepted", "Established"))
                if accepted.get("status") == "False":
                    return str(accepted.get("message"))
                if established.get("status") == "True":
                    return None
                crd = await next_version(cluster, crd)
    except TimeoutError:
        raise RetryLater(f"{crd['metadata']['name']} is not established yet") from None


async def next_version(cluster: Cluster, crd: dict[str, Any]) -> dict[str, Any]:
    name, version = crd["metadata"]["name"], crd["metadata"]["resourceVersion"]
    try:
        watching = cluster.watch(CUSTOM_RESOURCE_DEFINITIONS, version, fields={"metadata.name": name})
        async with watching as changes:
            async for kind, changed in changes:
                if kind in ("ADDED", "MODIFIED"):
                    return changed
    except Gone:
        pass
    found = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, name)
    if found is None:
        raise Conflict(409, "Conflict", f"{name} was deleted while it was being published")
    return found


def condition_of(crd: dict[str, Any], kind: str) -> dict[str, Any]:
    return next((each for each in crd.get("status", {}).get("conditions") or [] if each["type"] == kind), {})


main = function(publish_api, Cluster, ChartStore)
