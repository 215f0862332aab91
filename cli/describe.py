"""`chandlery describe`: one page with all that is known of an instance, for whoever is called at night."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from cli import finding, kinds, logs, output, session, tree
from cli.finding import Found
from cli.session import Sight
from shared.cluster import Cluster, Object
from shared.conditions import Condition
from shared.health import pod_trouble
from shared.instance import Instance
from shared.resources import PODS, RESOURCE_QUOTAS, SECRETS, Resource

Page = dict[str, Any]

EVENTS = Resource("", "v1", "events", "Event")
SHOWN_EVENTS = 15
NEXT = {
    "ImagePullBackOff": "check the image's name and that the nodes may pull it",
    "ErrImagePull": "check the image's name and that the nodes may pull it",
    "CrashLoopBackOff": "read the logs below: the container ends again and again",
    "Unschedulable": "make room on the nodes, or order a smaller plan",
    "ProgressDeadlineExceeded": "read the events and logs below: its pods did not get ready in time",
}
"""For reasons that are Kubernetes' own; those of ours say in their messages what to do."""


def describe(
    what: Annotated[
        str,
        typer.Argument(
            metavar="KIND/NAME", help="Or NAMESPACE/NAME: database/orders, team-a/orders, offering/database."
        ),
    ],
    namespace: finding.Namespace = None,
    output: output.As = output.Format.TABLE,
) -> None:
    """Show one object with all that explains how it stands: conditions, events, release, resources, logs."""
    page = session.run(lambda cluster: read(cluster, what, namespace))
    show(page, output)


def show(page: Page, how: output.Format) -> None:
    if how == output.Format.TABLE:
        output.show(rendered(page))
    else:
        print(output.document(page, how))


# Reading


async def read(cluster: Cluster, said: str, namespace: str | None) -> Page:
    sight = Sight(cluster)
    served = await kinds.served(cluster)
    found = await finding.find(cluster, said, namespace, served, instance=False)
    page = common(found)
    if found.kind.of_instances:
        instance = Instance.model_validate(found.body)
        release = instance.status.release.namespace
        page |= of_status(instance)
        if release:
            page |= await of_release(sight, instance, release, served)
        page["events"] = await events(sight, found.body, release)
    else:
        page["events"] = await events(sight, found.body, None)
    page["next"] = steps(page)
    page["notVisible"] = sight.hidden
    return page


async def of_release(sight: Sight, instance: Instance, release: str, served: list[kinds.Kind]) -> Page:
    wanted = {each.partition("/")[0] for each in instance.status.release.resources}
    charts = [
        kind for kind in served if kind.preferred and kind.resource.namespaced and tree.inventory_kind(kind) in wanted
    ]
    quotas, secrets, pods, inside = await asyncio.gather(
        sight.list(RESOURCE_QUOTAS, release),
        sight.list(SECRETS, release, labels={"owner": "helm"}, metadata_only=True),
        sight.list(PODS, release),
        tree.everything(sight, release, charts),
    )
    source = logs.failing(pods)
    said = await logs.last(sight, release, source) if source else []
    listed = {tree.inventory_name(each): each for each in (*inside, *pods)}
    return {
        "history": history(secrets),
        "resources": resources(instance.status.release.resources, listed, tree.visible_of(sight, charts, release)),
        "pods": [pod_row(each) for each in pods],
        "quota": [row for each in quotas for row in quota_rows(each)],
        "logs": {"pod": source[0], "container": source[1], "lines": said} if source and said else None,
    }


async def events(sight: Sight, body: Object, release: str | None) -> list[Page]:
    """Of the object itself, and of all in its release namespace; the newest first."""
    metadata = body["metadata"]
    beside = await sight.list(EVENTS, metadata.get("namespace") or "default")
    own = [each for each in beside if (each.get("involvedObject") or {}).get("uid") == metadata["uid"]]
    inside = await sight.list(EVENTS, release) if release else []
    return [event_row(each) for each in sorted([*own, *inside], key=when, reverse=True)]


# Pure


def common(found: Found) -> Page:
    metadata = found.body["metadata"]
    said = found.body.get("status", {}).get("conditions") or []
    return {
        "kind": found.kind.resource.kind,
        "name": metadata["name"],
        "namespace": metadata.get("namespace"),
        "created": metadata.get("creationTimestamp"),
        "deleted": metadata.get("deletionTimestamp"),
        "generation": metadata.get("generation"),
        "spec": found.body.get("spec") or {},
        "conditions": [condition_row(Condition.model_validate(each), metadata.get("generation", 0)) for each in said],
    }


def condition_row(said: Condition, generation: int) -> Page:
    row = {
        "type": said.type,
        "status": said.status,
        "age": output.age(said.last_transition_time),
        "since": said.last_transition_time,
        "reason": said.reason,
        "message": said.message,
    }
    return row | ({"outdated": True} if said.observed_generation < generation else {})


def of_status(instance: Instance) -> Page:
    release = instance.status.release
    told = release.model_dump(
        by_alias=True, exclude_none=True, include={"namespace", "name", "revision", "chart", "version"}
    )
    more = {"deployedAt": release.deployed_at, "failures": release.failures, "retryAt": release.retry_at}
    return {
        "release": told | {key: value for key, value in more.items() if value},
        "endpoints": [each.model_dump() for each in instance.status.endpoints],
        "exports": instance.status.exports,
        "notes": instance.status.notes,
    }


def resources(inventory: Iterable[str], there: dict[str, Object], visible: set[str]) -> list[Page]:
    """What the chart made, with its health; what is not there any more is said."""
    rows = []
    for name in inventory:
        body = there.get(name)
        judged = tree.judged(body) if body else None
        gone = "not there" if name.partition("/")[0] in visible else "not visible to you"
        rows.append(
            {"name": name, "health": judged.state if judged else "?", "message": judged.message if judged else gone}
        )
    return rows


def pod_row(pod: Object) -> Page:
    status = pod.get("status", {})
    containers = status.get("containerStatuses") or []
    trouble = pod_trouble(pod)
    return {
        "name": pod["metadata"]["name"],
        "ready": f"{sum(bool(each.get('ready')) for each in containers)}/{len(pod['spec']['containers'])}",
        "phase": status.get("phase"),
        "restarts": sum(each.get("restartCount", 0) for each in containers),
        "node": pod["spec"].get("nodeName"),
        "age": output.age(pod["metadata"].get("creationTimestamp")),
        "reason": trouble.reason if trouble else "",
        "trouble": trouble.message if trouble else "",
    }


def quota_rows(quota: Object) -> list[Page]:
    hard, used = quota.get("status", {}).get("hard") or {}, quota.get("status", {}).get("used") or {}
    return [{"name": name, "used": used.get(name), "hard": limit} for name, limit in sorted(hard.items())]


def history(secrets: list[Object]) -> list[Page]:
    """Helm's revisions, as it labels them; what is in them stays there."""
    labels = [(each["metadata"].get("labels") or {}, each["metadata"]) for each in secrets]
    rows = [
        {
            "revision": int(label.get("version", 0)),
            "status": label.get("status"),
            "age": output.age(metadata.get("creationTimestamp")),
        }
        for label, metadata in labels
    ]
    return sorted(rows, key=lambda row: row["revision"], reverse=True)


def when(event: Object) -> str:
    series = (event.get("series") or {}).get("lastObservedTime")
    moments = (series, event.get("lastTimestamp"), event.get("eventTime"), event["metadata"].get("creationTimestamp"))
    return max((str(each) for each in moments if each), default="")


def event_row(event: Object) -> Page:
    about = event.get("involvedObject") or {}
    count = event.get("count") or (event.get("series") or {}).get("count") or 1
    return {
        "age": output.age(when(event)),
        "type": event.get("type"),
        "reason": event.get("reason"),
        "object": f"{about.get('kind', '')} {about.get('name', '')}",
        "namespace": about.get("namespace"),
        "times": count,
        "message": (event.get("message") or "").strip(),
    }


def steps(page: Page) -> list[str]:
    """What to do next: the fix that a failing condition names, and what is known of Kubernetes' own reasons."""
    found = []
    for each in page["conditions"]:
        if each["status"] == "True":
            continue
        cause, _, fix = each["message"].rpartition("; ")
        if cause and fix:
            found.append(fix)
        if each["reason"] in NEXT:
            found.append(NEXT[each["reason"]])
    found += [NEXT[pod["reason"]] for pod in page.get("pods") or () if pod["reason"] in NEXT]
    return list(dict.fromkeys(found))


# For people


def rendered(page: Page) -> RenderableType:
    parts: list[RenderableType] = [head(page)]

    def section(title: str, content: RenderableType | None) -> None:
        if content is not None:
            parts.extend([Text(""), Text(title, style="bold"), content])

    section("What to do next", lines(page["next"]))
    section("Conditions", conditions(page["conditions"]))
    if "release" in page:
        section("Release", release(page))
        section("Endpoints", rows(page["endpoints"], {"NAME": "name", "URL": "url"}))
        section("Secrets for you", lines(page["exports"]))
        section("Resources", rows(page.get("resources"), {"OBJECT": "name", "HEALTH": "health", "": "message"}))
        section("Pods", rows(page.get("pods"), PODS_SHOWN))
        section("Quota", rows(page.get("quota"), {"RESOURCE": "name", "USED": "used", "HARD": "hard"}))
    section("Events", rows(page["events"][:SHOWN_EVENTS], EVENTS_SHOWN))
    if page.get("logs"):
        section(f"Last lines of {page['logs']['pod']}/{page['logs']['container']}", lines(page["logs"]["lines"]))
    section("Not visible to you", lines(page["notVisible"]))
    return Group(*parts)


PODS_SHOWN = {
    "NAME": "name",
    "READY": "ready",
    "PHASE": "phase",
    "RESTARTS": "restarts",
    "AGE": "age",
    "NODE": "node",
    "": "trouble",
}
EVENTS_SHOWN = {"AGE": "age", "TYPE": "type", "REASON": "reason", "OBJECT": "object", "TIMES": "times", "": "message"}


def head(page: Page) -> RenderableType:
    where = f"{page['namespace']}/" if page["namespace"] else ""
    going = f", being deleted for {output.age(page['deleted'])}" if page["deleted"] else ""
    return output.cell(f"{page['kind']} {where}{page['name']}, {output.age(page['created'])} old{going}")


def lines(found: Iterable[str] | None) -> RenderableType | None:
    said = [output.cell(f"  {each}") for each in found or ()]
    return Group(*said) if said else None


def rows(found: list[Page] | None, columns: dict[str, str]) -> RenderableType | None:
    return output.listed(columns, found) if found else None


def conditions(found: list[Page]) -> RenderableType:
    columns = {"TYPE": "type", "STATUS": "status", "AGE": "age", "REASON": "reason", "": "message"}
    marked = [
        each | {"message": f"{each['message']} (of an older spec)".strip()} if "outdated" in each else each
        for each in found
    ]
    return rows(marked, columns) or output.cell("  none yet: nothing has looked at it; `chandlery doctor` says why")


def release(page: Page) -> RenderableType:
    found = page["release"]
    if not found:
        return output.cell("  none yet")
    said = [
        f"  {found.get('name', '')} in namespace {found.get('namespace', '')}",
        f"  revision {found.get('revision', '-')} of {found.get('chart', '?')} {found.get('version', '')}",
    ]
    if "retryAt" in found:
        said.append(f"  failed {found.get('failures', 1)} times, not tried again before {found['retryAt']}")
    history = [
        f"  revision {each['revision']}: {each['status']}, {each['age']} ago" for each in page.get("history") or ()
    ]
    return Group(*[output.cell(each) for each in (*said, *history[:5])])
