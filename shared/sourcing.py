"""Where the chart of an Offering comes from: the store that keeps it, or its source, verified as the Offering asks."""

import asyncio
import hashlib

from shared import charts, credentials, provenance
from shared.cluster import Cluster, Object
from shared.errors import Refused, RetryLater
from shared.fetch import Fetched, Fetcher, check_verify
from shared.offering import ChartSource, Offering, SecretRef, Verify
from shared.resources import SECRETS, SYSTEM_NAMESPACE
from shared.store import ChartStore


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
