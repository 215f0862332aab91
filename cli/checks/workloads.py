"""Whether our own pods run: functions and sources, as Deployments or Knative Services."""

import asyncio

from cli.applying import unready
from cli.checks.finding import Finding, missing, ok, unknown
from shared.cluster import Cluster, Object
from shared.errors import NotFound
from shared.resources import SYSTEM_NAMESPACE, WORKLOADS, Resource

SUBJECT = "functions"
KNATIVE_SERVICES = Resource("serving.knative.dev", "v1", "services", "Service")
KINDS = (*(each for each in WORKLOADS if each.kind in ("Deployment", "StatefulSet")), KNATIVE_SERVICES)
LABELS = {"app.kubernetes.io/part-of": "chandlery"}


async def look(cluster: Cluster) -> list[Finding]:
    found = await asyncio.gather(*[of_kind(cluster, kind) for kind in KINDS])
    return [judged([each for several in found for each in several])]


async def of_kind(cluster: Cluster, kind: Resource) -> list[Object]:
    try:
        found = await cluster.list(kind, SYSTEM_NAMESPACE, labels=LABELS)
    except NotFound:
        return []  # no Knative Serving
    return [{**each, "apiVersion": kind.api_version, "kind": kind.kind} for each in found["items"]]


def judged(found: list[Object]) -> Finding:
    if not found:
        where = "they run somewhere else, as the local stack's do, or not at all"
        return unknown(SUBJECT, f"there are no pods of ours in namespace {SYSTEM_NAMESPACE}: {where}")
    wrong = [(each, why) for each in found if (why := unready(each))]
    if not wrong:
        return ok(SUBJECT, f"{len(found)} Deployments and Services are ready")
    first, why = wrong[0]
    kind, name = first["kind"].lower(), first["metadata"]["name"]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    fix = f"kubectl -n {SYSTEM_NAMESPACE} describe pods -l app.kubernetes.io/name={name}"
    return missing(SUBJECT, f"{kind} {name} is not ready{more}: {why}", fix)
