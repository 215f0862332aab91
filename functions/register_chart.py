"""Fetch, verify and keep the chart of an Offering; from then on it is known by its digest and never fetched again."""

import asyncio
import hashlib

import structlog

from events.charts import ChartRefused, ChartRegistered
from events.offerings import OfferingApplied
from shared import charts, credentials, finalizers, prerequisites, provenance
from shared.cluster import Cluster, Object
from shared.conditions import condition
from shared.errors import Refused, RetryLater
from shared.fetch import Fetched, Fetcher, check_verify
from shared.function import function
from shared.offering import ChartSource, Offering, SecretRef, Verify
from shared.reports import offering_of, report_offering
from shared.resources import OFFERINGS, SECRETS, SYSTEM_NAMESPACE
from shared.store import ChartStore

log = structlog.get_logger()


def source_hash(source: ChartSource) -> str:
    """Tells whether the chart asked for is still the one that was fetched, and verified as is asked now."""
    passed_over = {"auth"} if source.verify else {"auth", "verify"}
    return hashlib.sha256(source.model_dump_json(exclude=passed_over).encode()).hexdigest()[:32]


def kept_digest(offering: Offering) -> str | None:
    """The digest of a chart that may be in the store already and is what the Offering asks for."""
    source, known = offering.spec.chart, offering.status.chart
    if source.archive or source.digest:
        return source.archive or source.digest
    return known.digest if known.source == source_hash(source) else None


def settled(offering: Offering) -> bool:
    """Whether the chart as it is asked for was registered before, so that it was verified and its version chosen."""
    return offering.status.chart.source == source_hash(offering.spec.chart)


def pinned(offering: Offering) -> ChartSource:
    """A range is resolved once: a chart that the store has lost comes back in the version that was chosen then."""
    source, chosen = offering.spec.chart, offering.status.chart.version
    if source.repository and chosen and settled(offering):
        return source.model_copy(update={"version": chosen})
    return source


async def register_chart(
    event: OfferingApplied, cluster: Cluster, fetcher: Fetcher, store: ChartStore
) -> ChartRegistered | ChartRefused | None:
    offering = await offering_of(cluster, event.offering)
    if offering is None or offering.withdrawn:
        return None
    generation = offering.metadata.generation
    await finalizers.hold(cluster, OFFERINGS, offering.metadata, finalizers.API, "register_chart")
    try:
        chart = await chart_of(offering, cluster, fetcher, store)
        note = await prerequisites.provide(cluster, offering, chart)
    except Refused as refused:
        said = condition("ChartReady", False, refused.reason, refused.message, generation)
        last_good = offering.status.chart.model_dump(by_alias=True, exclude_none=True)
        await report_offering(
            cluster, offering, "register_chart", [said], observedGeneration=generation, chart=last_good
        )
        return ChartRefused(offering=event.offering, generation=generation, reason=refused.reason)
    message = f"{chart.name} {chart.version} is kept as {chart.digest}{note}"
    said = condition("ChartReady", True, "Registered", message, generation)
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


async def chart_of(offering: Offering, cluster: Cluster, fetcher: Fetcher, store: ChartStore) -> charts.Chart:
    """Raises Refused with what is wrong; a source that can't be reached now is a reason too: the resync tries again."""
    source = offering.spec.chart
    check_verify(source)
    digest = kept_digest(offering)
    kept = await store.path(digest) if digest else None
    if kept and (settled(offering) or not source.verify):
        return await asyncio.to_thread(charts.inspect, kept.read_bytes())
    keys = await keys_of(source.verify or Verify(), cluster)
    if source.archive:
        fetched = await pushed(source.archive, store)
    else:
        fetched = await fetched_from(pinned(offering), cluster, fetcher)
    chart = await asyncio.to_thread(charts.inspect, fetched.archive)  # seconds, for a chart at the limits
    await provenance.check(fetched.archive, f"{chart.name}-{chart.version}.tgz", fetched.evidence, keys)
    await store.put(fetched.archive)
    return chart


async def pushed(digest: str, store: ChartStore) -> Fetched:
    found = await store.path(digest)
    if found is None:
        fix = "push it with `chandlery push` and write down the digest that prints"
        raise Refused("ChartNotFound", f"spec.chart.archive: {digest} was never pushed; {fix}")
    return Fetched(found.read_bytes(), provenance.Evidence(prov=await store.prov(digest)))


async def fetched_from(source: ChartSource, cluster: Cluster, fetcher: Fetcher) -> Fetched:
    login = await secret_of(source.auth.secret_ref, credentials.FIELD, cluster) if source.auth else None
    try:
        return await fetcher.fetch(source, None if login is None else login.get("data") or {})
    except RetryLater as later:
        raise Refused("ChartUnreachable", f"spec.chart: {later}; it is tried again") from later


async def keys_of(verify: Verify, cluster: Cluster) -> provenance.Keys:
    async def key(ref: SecretRef, name: str, field: str) -> bytes:
        where = f"{field}.secretRef"
        return credentials.key_in(await secret_of(ref, where, cluster), name, where)

    return provenance.Keys(
        keyring=await key(verify.keyring.secret_ref, "keyring", provenance.KEYRING) if verify.keyring else None,
        cosign=await key(verify.cosign.secret_ref, "cosign.pub", provenance.COSIGN) if verify.cosign else None,
    )


async def secret_of(ref: SecretRef, field: str, cluster: Cluster) -> Object:
    secret = await cluster.get(SECRETS, ref.name, SYSTEM_NAMESPACE)
    if secret is None:
        raise Refused("SecretNotFound", f"{field}.name: namespace {SYSTEM_NAMESPACE} has no Secret {ref.name}")
    credentials.check_usable(secret, field)
    return secret


main = function(register_chart, Cluster, Fetcher, ChartStore)
