"""What must be in the cluster before a chart can be installed: the CRDs it brings; and which rights Helm will need."""

import asyncio

from shared import chart_crds, chart_rights, scopes
from shared.chart_rights import Makes
from shared.charts import Chart
from shared.cluster import Cluster
from shared.discovery import groups
from shared.offering import Offering
from shared.rights import Reviewed


async def provide(cluster: Cluster, offering: Offering, chart: Chart, makes: Makes) -> tuple[str, Reviewed]:
    """What there is to tell of it; raises Refused."""
    name, wanted = offering.metadata.name, offering.spec.policies.cluster_scoped
    crds = await asyncio.to_thread(chart_crds.crds_of, chart) if chart.crds else {}
    discovery = await groups(cluster)
    scoped = scopes.cluster_scoped(wanted, discovery, crds.values())
    reviewed = chart_rights.reviewed(makes, scoped, scopes.known(discovery, crds.values()))
    steps = await chart_crds.plan(cluster, offering, chart, crds)
    await chart_crds.bring(cluster, offering, chart, crds)
    staying = await chart_crds.leave(cluster, name, keep=crds)
    foreign = [each for each, step in steps.items() if step == "use"]
    told = [
        f"not of this chart and used as they are: {chart_crds.listed(foreign)}" if foreign else "",
        f"no longer in the chart, but in use: {'; '.join(staying)}" if staying else "",
    ]
    return "; ".join(each for each in told if each), reviewed


async def withdraw(cluster: Cluster, offering: str) -> list[str]:
    """When its instances are gone; what must go before the rest does."""
    return await chart_crds.leave(cluster, offering)
