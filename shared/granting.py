"""Putting the roles of an Offering in force: what grant_access does with what was reviewed, and nobody else may."""

import asyncio
from collections.abc import Iterable

from shared import chart_crds, chart_rights, dossier, ownership, rights
from shared.cluster import Cluster
from shared.errors import RetryLater
from shared.offering import Offering
from shared.reports import covers
from shared.resources import CLUSTER_ROLES, CUSTOM_RESOURCE_DEFINITIONS
from shared.rights import BINDINGS, CHARTS, INSTANCES, Reviewed, Role, Rule

MANAGER = "grant_access"
SETTLE_SECONDS = 10
TOGETHER = {what: f"chandlery-{what}" for what in (INSTANCES, CHARTS, BINDINGS)}
"""The roles that the functions are bound to."""


async def reviewed(cluster: Cluster, offering: Offering) -> Reviewed:
    """What register_chart noted."""
    noted = (await dossier.read(cluster, offering.metadata)).get("data", {}).get(dossier.RIGHTS)
    if noted is None:
        raise RetryLater(f"what Helm may do for {offering.metadata.name} is not noted yet")
    return chart_rights.read(noted, Reviewed)


async def grant_functions(cluster: Cluster, offering: Offering) -> None:
    """What our own functions need for an Offering, also for one that was refused: it may have had a life before."""
    served, brought = await asyncio.gather(is_ours(cluster, offering), chart_crds.brought_by(cluster, offering))
    await put(cluster, rights.of_functions(offering, served=served, brought=brought))


async def grant(cluster: Cluster, offering: Offering) -> None:
    """All of it, for an Offering that is published."""
    name = offering.metadata.name
    found, brought, release, scoped = await asyncio.gather(
        reviewed(cluster, offering),
        chart_crds.brought_by(cluster, offering),
        cluster.get(CLUSTER_ROLES, rights.release_kinds_role(name)),
        cluster.get(CLUSTER_ROLES, rights.kinds_role_of(name)),
    )
    ours = rights.of_functions(offering, served=True, brought=brought)
    await put(cluster, [*ours, *rights.of_helm(offering, found, release, scoped)])


async def is_ours(cluster: Cluster, offering: Offering) -> bool:
    """Whether its kind is there, and is not somebody else's."""
    crd = await cluster.get(CUSTOM_RESOURCE_DEFINITIONS, offering.crd)
    labels = (crd or {}).get("metadata", {}).get("labels") or {}
    return labels.get(ownership.OFFERING) == offering.metadata.name


async def put(cluster: Cluster, roles: list[Role]) -> None:
    """And wait until they are in force."""
    wholes = await asyncio.gather(*[put_one(cluster, role) for role in roles if "aggregationRule" in role])
    parts = [beneath(role, wholes) for role in roles if "aggregationRule" not in role]
    await asyncio.gather(*[put_one(cluster, role) for role in parts])
    await asyncio.gather(*[settled(cluster, name, wanted) for name, wanted in targets(roles).items()])


def beneath(part: Role, wholes: Iterable[Role]) -> Role:
    """A part of a role of ours belongs to that one, and goes after it: Kubernetes puts a role together whenever a part
    goes, and so would make it again, empty, when it was taken away at the same moment."""
    for whole in wholes:
        (selector,) = whole["aggregationRule"]["clusterRoleSelectors"]
        if selector["matchLabels"].items() <= part["metadata"]["labels"].items():
            kind = {"apiVersion": CLUSTER_ROLES.api_version, "kind": CLUSTER_ROLES.kind}
            owner = kind | {key: whole["metadata"][key] for key in ("name", "uid")}
            return part | {"metadata": part["metadata"] | {"ownerReferences": [owner]}}
    return part


async def put_one(cluster: Cluster, role: Role) -> Role:
    there = await cluster.get(CLUSTER_ROLES, role["metadata"]["name"])
    if there is not None and covers(there, role):
        return there
    return await cluster.apply(CLUSTER_ROLES, role, MANAGER)


def targets(roles: Iterable[Role]) -> dict[str, list[Rule]]:
    """Which roles Kubernetes puts together from these, and what must be in them."""
    found: dict[str, list[Rule]] = {}
    by_label: dict[str, str] = {f"{rights.AGGREGATE}{what}": name for what, name in TOGETHER.items()}
    for role in roles:
        for selector in role.get("aggregationRule", {}).get("clusterRoleSelectors", ()):
            by_label |= dict.fromkeys(selector["matchLabels"], role["metadata"]["name"])
    for role in roles:
        for label in role["metadata"]["labels"]:
            if label in by_label and "rules" in role:
                found.setdefault(by_label[label], []).extend(role["rules"])
    return found


async def settled(cluster: Cluster, role: str, wanted: list[Rule]) -> None:
    """Until Kubernetes has put the role together."""
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                rules = rights.rules_of(await cluster.get(CLUSTER_ROLES, role))
                if all(rule in rules for rule in wanted):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RetryLater(f"ClusterRole {role} is not put together yet; is knative/base/rbac.yaml applied?") from None
