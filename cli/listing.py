"""`chandlery offerings` and `chandlery instances`: what there is, and how it stands."""

import asyncio
from typing import Annotated, Any

import typer

from cli import kinds, output, session
from cli.kinds import Kind
from cli.notes import note
from cli.session import Sight
from shared.cluster import Cluster, Object
from shared.conditions import find
from shared.errors import Refused
from shared.instance import Instance
from shared.offering import Offering
from shared.resources import OFFERINGS

Row = dict[str, Any]

OFFERING_COLUMNS = {
    "NAME": "name",
    "CHART": "chart",
    "VERSION": "version",
    "API": "api",
    "INSTANCES": "instances",
    "READY": "ready",
    "REASON": "reason",
    "AGE": "age",
}
INSTANCE_COLUMNS = {
    "NAMESPACE": "namespace",
    "NAME": "name",
    "KIND": "kind",
    "PLAN": "plan",
    "READY": "ready",
    "REASON": "reason",
    "RELEASE NAMESPACE": "releaseNamespace",
    "CHART": "chart",
    "AGE": "age",
}


def offerings(output: output.As = output.Format.TABLE) -> None:
    """Show the Offerings: their charts, their APIs, how many instances they have."""
    rows, hidden = session.run(offered)
    printed(rows, OFFERING_COLUMNS, output, hidden)


def instances(
    offering: Annotated[str | None, typer.Option(help="Only of this Offering.", show_default=False)] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Only there; default: the kubeconfig's.", show_default=False),
    ] = None,
    every: Annotated[bool, typer.Option("--all", "-A", help="In all namespaces.")] = False,
    output: output.As = output.Format.TABLE,
) -> None:
    """Show the instances of all Offerings, whatever their kinds."""
    where = None if every else namespace or session.home()
    rows, hidden = session.run(lambda cluster: ordered(cluster, offering, where))
    printed(rows, INSTANCE_COLUMNS, output, hidden)
    if not rows and not hidden and not every:
        note(f"there are none in namespace {where}; --all looks in all of them")


def printed(rows: list[Row], columns: dict[str, str], how: output.Format, hidden: list[str]) -> None:
    if how != output.Format.TABLE:
        print(output.document(rows, how))
    elif rows:
        output.show(output.listed(columns, rows))
    for each in hidden:
        note(f"not visible to you: {each}")


async def offered(cluster: Cluster) -> tuple[list[Row], list[str]]:
    sight = Sight(cluster)
    found = await visible_offerings(sight)
    return [offering_row(each) for each in found], sight.hidden


async def visible_offerings(sight: Sight) -> list[Object]:
    """All; or those that a provider may read by their names, as its rights say."""
    found = await sight.list(OFFERINGS)
    if found or not sight.hidden:
        return found
    names = offerings_in(await rules(sight.cluster))
    bodies = await asyncio.gather(*[sight.get(OFFERINGS, name) for name in names])
    return [each for each in bodies if each]


async def rules(cluster: Cluster) -> list[Object]:
    """What the API server says that one's own rights are: everybody may ask."""
    review = {"metadata": {}, "spec": {"namespace": "default"}}
    found = await cluster.create(kinds.OWN_RULES, review)
    return found["status"].get("resourceRules") or []


def offerings_in(found: list[Object]) -> list[str]:
    names = {
        name
        for rule in found
        if OFFERINGS.group in rule.get("apiGroups", []) and OFFERINGS.plural in rule.get("resources", [])
        for name in rule.get("resourceNames") or ()
        if "get" in rule["verbs"]
    }
    return sorted(names)


def offering_row(body: Object) -> Row:
    offering = Offering.model_validate(body)
    ready = find(offering.status.conditions, "Ready")
    counts = offering.status.instances
    return {
        "name": offering.metadata.name,
        "chart": offering.status.chart.name,
        "version": offering.status.chart.version,
        "api": offering.status.api.crd,
        "instances": counts.total,
        "instancesReady": counts.ready,
        "instancesFailed": counts.failed,
        "ready": ready.status if ready else "Unknown",
        "reason": ready.reason if ready else "",
        "message": ready.message if ready else "",
        "age": output.age(body["metadata"].get("creationTimestamp")),
        "created": body["metadata"].get("creationTimestamp"),
    }


async def ordered(cluster: Cluster, offering: str | None, namespace: str | None) -> tuple[list[Row], list[str]]:
    sight = Sight(cluster)
    found = kinds.of_instances(await kinds.served(cluster))
    if offering:
        found = [await kind_of(sight, offering, found)]
    lists = await asyncio.gather(*[sight.list(kind.resource, namespace) for kind in found])
    rows = [instance_row(kind, body) for kind, bodies in zip(found, lists, strict=True) for body in bodies]
    return sorted(rows, key=lambda row: (row["namespace"], row["name"], row["kind"])), sight.hidden


async def kind_of(sight: Sight, name: str, served: list[Kind]) -> Kind:
    body = await sight.get(OFFERINGS, name)
    if body is None:
        why = f"not visible to you: {'; '.join(sight.hidden)}" if sight.hidden else "there is no such Offering"
        raise Refused("NotFound", f"offering {name}: {why}; without --offering all instances are shown")
    crd = Offering.model_validate(body).crd
    for kind in served:
        if kind.full == crd:
            return kind
    raise Refused("NotFound", f"offering {name} is not published yet; `chandlery describe offering/{name}` says why")


def instance_row(kind: Kind, body: Object) -> Row:
    instance = Instance.model_validate(body)
    ready, release = instance.condition("Ready"), instance.status.release
    return {
        "namespace": instance.metadata.namespace,
        "name": instance.metadata.name,
        "kind": kind.full,
        "plan": instance.spec.get("plan"),
        "ready": ready.status if ready else "Unknown",
        "reason": "Removing" if instance.withdrawn else ready.reason if ready else "",
        "message": ready.message if ready else "",
        "releaseNamespace": release.namespace,
        "chart": f"{release.chart}-{release.version}" if release.chart else None,
        "revision": release.revision,
        "age": output.age(body["metadata"].get("creationTimestamp")),
        "created": body["metadata"].get("creationTimestamp"),
    }
