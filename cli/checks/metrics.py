"""Metrics: whether what pods use can be read from the nodes, by us and by the function that does it."""

import asyncio
import json

from cli.checks.finding import Finding, limited, missing, ok, unknown
from cli.checks.rights import Right, allowed
from shared.cluster import Cluster
from shared.errors import ApiError, RetryLater
from shared.resources import NODES, SERVICE_ACCOUNTS, SYSTEM_NAMESPACE

SUBJECT = "metrics"
ACCOUNT = "collect-usage"
TRIED = 3
READING = Right(ACCOUNT, "get", "", "nodes", subresource="proxy")


async def look(cluster: Cluster) -> list[Finding]:
    return [*await asyncio.gather(by_us(cluster), by_the_function(cluster))]


async def by_us(cluster: Cluster) -> Finding:
    try:
        nodes = (await cluster.list(NODES, metadata_only=True, cached=True))["items"]
    except ApiError as error:
        if error.status != 403:
            raise
        return unknown(SUBJECT, "not visible to you: nodes in the whole cluster")
    names = [each["metadata"]["name"] for each in nodes][:TRIED]
    return of_nodes(
        len(nodes), dict(zip(names, await asyncio.gather(*[read(cluster, name) for name in names]), strict=True))
    )


async def read(cluster: Cluster, node: str) -> str:
    """What is wrong with it; nothing if it can be read."""
    try:
        text = await cluster.text(NODES.path(name=node, subresource="proxy") + "/stats/summary")
        return "" if "node" in json.loads(text) else "answers with something else"
    except ApiError as error:
        return "forbidden" if error.status == 403 else str(error)
    except (RetryLater, ValueError) as error:
        return str(error)


def of_nodes(count: int, answers: dict[str, str]) -> Finding:
    if not answers:
        return missing(SUBJECT, "there are no nodes", "add one")
    wrong = {name: why for name, why in answers.items() if why}
    if not wrong:
        return ok(SUBJECT, f"stats/summary can be read from {len(answers)} of {count} nodes tried")
    if set(wrong.values()) == {"forbidden"}:
        fix = "ask somebody with the right `get` on nodes/proxy to run this"
        return unknown(SUBJECT, "not visible to you: nodes/proxy, through which nodes tell what pods use", fix)
    name, why = next(iter(wrong.items()))
    fix = f"kubectl get --raw /api/v1/nodes/{name}/proxy/stats/summary shows more; without it nothing is metered there"
    return limited(SUBJECT, f"node {name} can't be asked what its pods use: {why}", fix)


async def by_the_function(cluster: Cluster) -> Finding:
    try:
        if await cluster.get(SERVICE_ACCOUNTS, ACCOUNT, SYSTEM_NAMESPACE) is None:
            return limited(SUBJECT, f"there is no function {ACCOUNT}: nothing is metered", "chandlery upgrade")
        return of_function(await allowed(cluster, READING))
    except ApiError as error:
        if error.status != 403:
            raise
        return unknown(SUBJECT, f"not visible to you: whether {ACCOUNT} may read them (subjectaccessreviews)")


def of_function(may: bool) -> Finding:
    if may:
        return ok(SUBJECT, f"{ACCOUNT} may read nodes/proxy")
    fix = "chandlery upgrade, which brings its ClusterRole and binding back"
    return missing(SUBJECT, f"service account {ACCOUNT} may not get nodes/proxy: nothing is metered", fix)
