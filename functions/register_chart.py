"""Fetch, verify, check and keep the chart of an Offering; from then on it is known by its digest, not fetched again."""

from events.charts import ChartRefused, ChartRegistered
from events.offerings import OfferingApplied
from shared import chart_rights, charts, dossier, finalizers, prerequisites
from shared.chart_rights import Makes
from shared.check import Subject, check
from shared.cluster import Cluster
from shared.conditions import condition
from shared.discovery import served
from shared.errors import Refused, RetryLater
from shared.fetch import Fetcher
from shared.function import function
from shared.offering import Offering
from shared.orders import fingerprint
from shared.preflight import Preflight
from shared.renderer import Renderer
from shared.reports import offering_of, report_offering
from shared.resources import OFFERINGS
from shared.sourcing import chart_of, source_hash
from shared.store import ChartStore

CHECK = 3
"""Changes when the check does: then what passed is checked again."""


async def register_chart(
    event: OfferingApplied,
    cluster: Cluster,
    fetcher: Fetcher,
    store: ChartStore,
    renderer: Renderer,
    preflight: Preflight,
) -> ChartRegistered | ChartRefused | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or offering.withdrawn:
        return None
    generation = offering.metadata.generation
    await finalizers.hold(cluster, OFFERINGS, offering.metadata, finalizers.API, "register_chart")
    try:
        chart = await chart_of(offering, cluster, fetcher, store)
        notes, makes = await checked(offering, chart, cluster, store, renderer, preflight)
        needs, reviewed = await prerequisites.provide(cluster, offering, chart, makes)
    except Refused as refused:
        said = condition("ChartReady", False, refused.reason, refused.message, generation)
        last_good = offering.status.chart.model_dump(by_alias=True, exclude_none=True)
        await report_offering(
            cluster, offering, "register_chart", [said], observedGeneration=generation, chart=last_good
        )
        return ChartRefused(offering=event.offering, generation=generation, reason=refused.reason)
    noted = {dossier.RIGHTS: chart_rights.written(reviewed)}
    await dossier.write(cluster, offering.metadata, "register_chart-rights", noted)  # for grant_access
    kept = f"{chart.name} {chart.version} is kept as {chart.digest}"
    said = condition("ChartReady", True, "Registered", "; ".join(filter(None, (kept, needs, notes))), generation)
    told = {
        "name": chart.name,
        "version": chart.version,
        "appVersion": chart.app_version,
        "digest": chart.digest,
        "source": source_hash(offering.spec.chart),
    }
    shown = {key: value for key, value in told.items() if value is not None}
    await report_offering(cluster, offering, "register_chart", [said], observedGeneration=generation, chart=shown)
    return ChartRegistered(offering=event.offering, generation=generation, digest=chart.digest)


def check_key(offering: Offering, digest: str) -> str:
    """Names all that the check depends on; a cluster that changed is no reason to check again."""
    spec = offering.spec.model_dump(mode="json", include={"values", "plans", "policies", "parameters", "release"})
    return fingerprint(CHECK, digest, offering.metadata.name, spec)


async def checked(
    offering: Offering,
    chart: charts.Chart,
    cluster: Cluster,
    store: ChartStore,
    renderer: Renderer,
    preflight: Preflight,
) -> tuple[str, Makes]:
    """What is worth a sentence, and what the chart makes; raises Refused with what stands in the way. What passed once
    is not checked again."""
    key = check_key(offering, chart.digest)
    known = await dossier.read(cluster, offering.metadata)
    if dossier.stands(known, dossier.CHECKED, key):
        data = known.get("data", {})
        return str(data.get(dossier.SUMMARY, "")), chart_rights.read(data[dossier.MAKES], Makes)
    archive = await store.path(chart.digest)
    if archive is None:
        raise RetryLater(f"chart {chart.digest} is not in the store")
    found = await check(Subject(offering, chart, archive, await served(cluster), renderer, preflight=preflight))
    notes = dossier.summary(found)
    text = dossier.fitted(dossier.findings_document(found), dossier.FINDINGS_LIMIT)
    data = {dossier.SUMMARY: notes, dossier.FINDINGS: text, dossier.MAKES: chart_rights.written(found.makes)}
    await dossier.write(cluster, offering.metadata, "register_chart", data, {dossier.CHECKED: key})
    return notes, found.makes


main = function(register_chart, Cluster, Fetcher, ChartStore, Renderer, Preflight)
