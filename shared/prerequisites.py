"""What must be in the cluster before a chart can be installed: the CRDs it brings, and Helm's rights for the rest."""

import asyncio

from shared import chart_crds, rights, scopes
from shared.charts import Chart
from shared.cluster import Cluster
from shared.discovery import groups
from shared.offering import Offering


async def provide(cluster: Cluster, offering: Offering, chart: Chart) -> str:
    """What there is to tell of it; raises Refused."""
    name, wanted = offering.metadata.name, offering.spec.policies.cluster_scoped
    crds = await asyncio.to_thread(chart_crds.crds_of, chart) if chart.crds else {}
    scoped = scopes.cluster_scoped(wanted, await groups(cluster), crds.values()) if wanted else set()
    steps = await chart_crds.plan(cluster, offering, chart, crds)
    namespaced, brought = scopes.brought(crds.values(), "Namespaced"), scopes.brought(crds.values())
    # Rights first: without those to list its objects, a CRD could not be taken away again.
    await rights.provide(cluster, name, namespaced=namespaced, brought=brought, cluster_scoped=scoped)
    await chart_crds.bring(cluster, offering, chart, crds)
    staying = await chart_crds.leave(cluster, name, keep=crds)
    foreign = [each for each, step in steps.items() if step == "use"]
    told = [
        f"not of this chart and used as they are: {chart_crds.listed(foreign)}" if foreign else "",
        f"no longer in the chart, but in use: {'; '.join(staying)}" if staying else "",
    ]
    return "; ".join(each for each in told if each)


async def withdraw(cluster: Cluster, offering: str) -> list[str]:
    """When its instances are gone; what must go before the rest does."""
    staying = await chart_crds.leave(cluster, offering)
    if not staying:
        await rights.withdraw(cluster, offering)
    return staying
