"""`chandlery logs`: of the pods of an instance's release, without knowing in which namespace they are."""

import asyncio
import sys
from typing import Annotated

import typer

from cli import finding, kinds, session
from cli.notes import note
from cli.output import plain
from cli.session import Sight
from shared.cluster import Cluster, Object
from shared.errors import ApiError, Refused, RetryLater
from shared.health import pod_trouble
from shared.instance import Instance
from shared.resources import PODS

TAIL = 20

Source = tuple[str, str]
"""Pod and container."""


def logs(
    instance: finding.Instance,
    namespace: finding.Namespace = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    previous: Annotated[
        bool, typer.Option("--previous", "-p", help="Of the containers before the last restart.")
    ] = False,
    pod: Annotated[str | None, typer.Option(help="Only of this pod.", show_default=False)] = None,
    container: Annotated[
        str | None, typer.Option("--container", "-c", help="Only of this container.", show_default=False)
    ] = None,
    tail: Annotated[
        int | None, typer.Option(min=0, help="Only the last lines; default: all.", show_default=False)
    ] = None,
) -> None:
    """Show the logs of an instance's pods, each line with its pod and container where there are several."""
    query = {"follow": follow, "previous": previous}
    said = {name: "true" for name, on in query.items() if on} | ({} if tail is None else {"tailLines": str(tail)})

    async def print_all(cluster: Cluster) -> int:
        where, sources = await chosen(cluster, instance, namespace, pod, container)
        if not follow:
            return sum([await printed(cluster, where, each, said, len(sources) > 1) for each in sources])
        return sum(await asyncio.gather(*[printed(cluster, where, each, said, len(sources) > 1) for each in sources]))

    try:
        failed = session.run(print_all)
    except KeyboardInterrupt:
        return
    if failed:
        raise typer.Exit(1)


async def chosen(
    cluster: Cluster, said: str, namespace: str | None, pod: str | None, container: str | None
) -> tuple[str, list[Source]]:
    """The release namespace, and whose logs; raises Refused with what there is instead."""
    sight = Sight(cluster)
    found = await finding.find(cluster, said, namespace, await kinds.served(cluster))
    where = Instance.model_validate(found.body).status.release.namespace
    if not where:
        raise Refused("NotFound", f"{said} has no release yet; `chandlery describe {said}` says why")
    pods = await sight.list(PODS, where)
    if sight.hidden:
        fix = "the Offering decides who reads them (spec.consumerAccess.logs)"
        raise Refused("Forbidden", f"not visible to you: {'; '.join(sight.hidden)}; {fix}")
    sources = [each for each in sources_of(pods) if pod in (None, each[0]) and container in (None, each[1])]
    if not sources:
        there = ", ".join(f"{pod}/{container}" for pod, container in sources_of(pods)) or "none"
        raise Refused("NotFound", f"{said} has no such pods or containers; there are: {there}")
    return where, sources


def sources_of(pods: list[Object]) -> list[Source]:
    return [
        (pod["metadata"]["name"], container["name"])
        for pod in sorted(pods, key=lambda each: str(each["metadata"]["name"]))
        for part in ("initContainers", "containers")
        for container in pod["spec"].get(part) or ()
    ]


async def printed(cluster: Cluster, namespace: str, source: Source, query: dict[str, str], prefixed: bool) -> bool:
    """Whether it failed: one container that has not started is no reason to hide the others."""
    pod, container = source
    prefix = f"[{pod}/{container}] " if prefixed else ""
    path = PODS.path(namespace, pod, "log")
    try:
        async with cluster.lines(path, {**query, "container": container}, silence=None) as lines:
            async for line in lines:
                print(prefix + shown(line.rstrip("\n")), flush=True)
    except (ApiError, RetryLater) as error:
        note(f"{pod}/{container}: {error}")
        return True
    return False


def shown(line: str) -> str:
    """A terminal obeys what a program does not."""
    return plain(line) if sys.stdout.isatty() else line


# For `chandlery describe`


def failing(pods: list[Object]) -> Source | None:
    """The first pod in trouble, and the container that it is about."""
    for pod in pods:
        if not pod_trouble(pod) or pod["metadata"].get("deletionTimestamp"):
            continue
        status = pod.get("status", {})
        for each in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            if not each.get("ready") and (each.get("state", {}).get("terminated") or {}).get("exitCode") != 0:
                return pod["metadata"]["name"], each["name"]
    return None


async def last(sight: Sight, namespace: str, source: Source) -> list[str]:
    """Its last lines; of the container before, if this one has not said anything yet."""
    pod, container = source
    path, query = PODS.path(namespace, pod, "log"), {"container": container, "tailLines": str(TAIL)}
    for more in ({}, {"previous": "true"}):
        try:
            said = (await sight.cluster.text(path, query | more)).splitlines()
        except ApiError as error:
            if error.status == 403:
                sight.hide("pods/log", f"in namespace {namespace}")
            continue
        except RetryLater as error:
            return [f"(can't be read: {error})"]
        if said:
            return said
    return []
