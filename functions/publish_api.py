"""Turn a registered chart into the consumer API: generate the CRD, apply it, and say when it serves.

Whether the Offering is Ready is for grant_access to say, which hears of all that comes of this step.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from events.apis import ApiPublished, ApiRefused
from events.charts import ChartRefused, ChartRegistered
from shared import charts, dossier, ownership, statuses, versions
from shared.cluster import Cluster
from shared.compatibility import breaking
from shared.conditions import Condition, condition, find
from shared.errors import ApiError, Conflict, Gone, Invalid, NotFound, Refused, RetryLater
from shared.function import function
from shared.offering import Offering
from shared.reports import offering_of, report_offering
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource
from shared.schema import api_for
from shared.store import ChartStore
from shared.values import format_path
from shared.versions import EDITION, Crd
from shared.webhook import Webhook

ESTABLISH_SECONDS = 10


@dataclass(frozen=True)
class Published:
    versions: list[str]
    told: list[str]
    """What changed and breaks nobody, but is worth a word."""
    reserved: list[str]
    sample: str


def published(offering: Offering, now: Published) -> Condition:
    note = f"; changed: {versions.first(now.told)}" if now.told else ""
    generation = offering.metadata.generation
    return condition("Published", True, "Published", f"{offering.crd} is served{note}", generation)


async def publish_api(
    event: ChartRegistered | ChartRefused, cluster: Cluster, store: ChartStore, webhook: Webhook
) -> ApiPublished | ApiRefused | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or offering.withdrawn:
        return None
    offering = await with_todays_status(cluster, offering)
    generation = offering.metadata.generation
    chart_ready = find(offering.status.conditions, "ChartReady")
    if chart_ready is None or chart_ready.observed_generation != generation:
        return None  # a newer chart is on its way
    if not chart_ready.true:
        return ApiRefused(offering=event.offering, generation=generation, reason=chart_ready.reason)
    try:
        now = await publish(offering, cluster, store, webhook)
    except Refused as refusal:
        said = condition("Published", False, refusal.reason, refusal.message, generation)
        await report_offering(cluster, offering, "publish_api", [said], api=noted(offering))
        return ApiRefused(offering=event.offering, generation=generation, reason=refusal.reason)
    await dossier.write(cluster, offering.metadata, "publish_api", {dossier.SAMPLE: now.sample})
    documents = dossier.name_of(offering.metadata)
    api = {"crd": offering.crd, "versions": now.versions, "documentation": documents, "reserved": now.reserved}
    api["statusEdition"] = statuses.EDITION
    await report_offering(cluster, offering, "publish_api", [published(offering, now)], api=api)
    return ApiPublished(offering=event.offering, generation=generation, crd=offering.crd)


async def with_todays_status(cluster: Cluster, offering: Offering) -> Offering:
    """Functions write the status of this release, also where the Offering is refused as it stands: the instances it has
    go on, and the API server drops what a schema does not know."""
    api = offering.status.api
    if not api.crd or api.status_edition == statuses.EDITION:
        return offering
    existing = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, api.crd)
    if existing and owner_of(existing) == offering.metadata.name:
        await apply(cluster, versions.with_status(existing, statuses.STATUS))
    status = offering.status.model_copy(update={"api": api.model_copy(update={"status_edition": statuses.EDITION})})
    now = offering.model_copy(update={"status": status})
    before = find(offering.status.conditions, "Published")
    await report_offering(cluster, offering, "publish_api", [before] if before else [], api=noted(now))
    return now


def noted(offering: Offering) -> dict[str, Any]:
    """What was said of an API that was published before."""
    return offering.status.api.model_dump(by_alias=True, exclude_none=True)


async def publish(offering: Offering, cluster: Cluster, store: ChartStore, webhook: Webhook) -> Published:
    """Raises Refused with what stands in the way."""
    archive = await store.path(offering.status.chart.digest or "")
    if archive is None:
        raise RetryLater(f"chart {offering.status.chart.digest} is not in the store")
    chart = await asyncio.to_thread(charts.inspect, archive.read_bytes())
    api = await asyncio.to_thread(api_for, offering, chart)
    existing = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, offering.crd)
    check_owner(offering, existing)
    if existing:
        versions.check_raised(existing, offering.spec.api.version)
    crd = versions.together(api.crd, existing, api.places, plans=bool(offering.spec.plans))
    crd = versions.converted_by(crd, webhook.client_config(offering.crd, crd["metadata"]["annotations"][EDITION]))
    told: list[str] = []
    if existing:
        told = await check_change(cluster, existing, crd)
        if versions.stored(existing) != offering.spec.api.version:
            await prove(cluster, existing, crd)
    applied = await apply(cluster, crd)
    if problem := await unestablished(cluster, applied):
        if existing is None:
            await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, offering.crd)
        raise Refused("NameTaken", f"spec.api: {problem}; choose another kind, plural or short name")
    reserved = [format_path(path) for path in api.reserved]
    return Published(versions.served(crd), told, reserved, api.sample)


async def apply(cluster: Cluster, crd: Crd) -> Crd:
    try:
        return await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, crd, "publish_api")
    except Invalid as invalid:
        raise Refused("InvalidSchema", f"the API server refuses the generated CRD: {invalid.message}") from invalid


async def check_change(cluster: Cluster, existing: Crd, crd: Crd) -> list[str]:
    """What changes without hurting; raises Refused with whom the change would hurt. Who orders in this very moment is
    told by admit_instance."""
    before, after = versions.stored(existing), crd["spec"]["versions"][0]["name"]
    found = versions.changes(existing, crd)
    if before != after:
        versions.check_migration(crd, before, await living(cluster, existing))
    elif breaking(found):
        versions.check_in_place(crd, breaking(found), await living(cluster, existing))
    return [str(each) for each in found if not each.breaking]


async def living(cluster: Cluster, crd: Crd) -> list[dict[str, Any]]:
    try:
        return (await cluster.list(resource_of(crd, versions.stored(crd))))["items"]
    except NotFound:
        return []  # never established: nobody can have ordered
    except ApiError as error:
        if error.status == 403:  # grant_access sees to it when it hears of this
            why = f"{crd['metadata']['name']}: the right to look for its instances is not in force yet"
            raise Refused("RightsMissing", f"{why}; it is tried again") from error
        raise


def resource_of(crd: Crd, version: str) -> Resource:
    spec = crd["spec"]
    return Resource(spec["group"], version, spec["names"]["plural"], spec["names"]["kind"])


async def prove(cluster: Cluster, existing: Crd, crd: Crd) -> None:
    """Serve the new version beside the stored one, and see whether every instance can be read in it, before anything is
    written in it: until then there is a way back."""
    before, after = versions.stored(existing), crd["spec"]["versions"][0]["name"]
    await apply(cluster, versions.stored_as(crd, before))
    problem = f"{after} is not served yet"
    until = time.monotonic() + ESTABLISH_SECONDS
    while time.monotonic() < until:
        try:
            await cluster.list(resource_of(crd, after), metadata_only=True)
            return
        except NotFound:
            pass
        except RetryLater as error:
            problem = str(error)
        await asyncio.sleep(0.1)
    await apply(cluster, versions.as_it_was(existing))
    raise Refused(
        "ConversionFailed",
        f"spec.api.version: instances can't be read as {after}: {problem}; {before} is served as before. "
        "It is tried again; see to it that the API server reaches the function convert_instances",
    )


def owner_of(crd: Crd | None) -> str | None:
    """The name of its Offering."""
    name: str | None = ((crd or {}).get("metadata", {}).get("labels") or {}).get(ownership.OFFERING)
    return name


def check_owner(offering: Offering, crd: dict[str, Any] | None) -> None:
    owner = owner_of(crd)
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


main = function(publish_api, Cluster, ChartStore, Webhook)
