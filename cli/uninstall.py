"""`chandlery uninstall`: what was installed goes, people's data stays; or, with --purge, all of it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import typer

from cli import applying, bundle, installation, kinds, output, session
from cli.applying import Say, Target
from cli.bundle import Id
from cli.install import counted
from cli.installation import KEPT
from cli.kinds import Kind
from cli.progress import progress
from shared import ownership
from shared.cluster import Cluster
from shared.errors import ApiError, Refused, RetryLater
from shared.resources import CONSUMERS, GROUP, OFFERINGS, PROVIDERS, SYSTEM_NAMESPACE

PART_OF = {"app.kubernetes.io/part-of": ownership.MANAGER}
MANAGED = {ownership.MANAGED_BY: ownership.MANAGER}
ASIDE = frozenset({"events", "endpoints", "endpointslices", "leases"})
"""They go with what they are about."""
AGAIN_SECONDS = 5.0
"""Whatever is still there then is deleted once more."""


@dataclass(frozen=True)
class Plan:
    """In the order in which it goes."""

    people: tuple[tuple[Id, ...], ...] = ()
    """Instances, Offerings, Consumers and Providers: the functions take these away, while they are there."""
    installed: tuple[Id, ...] = ()
    rest: tuple[Id, ...] = ()
    """Namespaces and CRDs last, for the rest is in them or of them."""

    @property
    def all(self) -> list[Id]:
        return [each for stage in (*self.people, self.installed, self.rest) for each in stage]


def uninstall(
    purge: Annotated[bool, typer.Option("--purge", help="Instances, Offerings, all data: nothing stays.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would go.")] = False,
    force: Annotated[
        bool, typer.Option(help="With --purge: don't wait for the functions, take finalizers off.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="How many seconds to wait for each step.", min=1)] = 120.0,
) -> None:
    """Take Chandlery away. Offerings, instances with what they run, accounts and data stay, unless --purge is said."""
    plan = session.run(lambda cluster: planned(cluster, purge=purge))
    if not plan.all:
        print("there is nothing to take away")
        return
    output.show(output.table(["GOES", ""], [(each, "") for each in plan.all]))
    print(warning(plan, purge=purge))
    if dry_run:
        return
    if not yes:
        typer.confirm("Take all of this away?", abort=True)
    session.run(lambda cluster: taken(cluster, plan, force=force, limit=timeout))
    print(f"gone: {counted(plan.all)}")


def warning(plan: Plan, *, purge: bool) -> str:
    if purge:
        return (
            f"{len(plan.all)} objects go, with all that instances hold. What lies outside the cluster stays: a NATS and"
            " a ledger of your own."
        )
    return (
        f"{len(plan.all)} objects go. Offerings, instances and what they run stay, and nobody looks after them: what is"
        " ordered, changed or deleted meanwhile waits for the next `chandlery install`."
    )


# Reading


async def planned(cluster: Cluster, *, purge: bool) -> Plan:
    target = await Target.of(cluster)
    found = await installation.read(cluster)
    labelled = await having(target, PART_OF)
    ours = found.objects if found else frozenset(labelled)
    ours |= {Id("", "ConfigMap", SYSTEM_NAMESPACE, installation.NAME)} if found else set()
    if not purge:
        return Plan(installed=tuple(backwards(await target.there(each for each in ours if each.kind not in KEPT))))
    people = await peoples(target)
    managed = await having(target, MANAGED)
    homes = {each.name for each in managed if each.kind == "Namespace"}
    everything = {*await target.there(ours), *labelled, *[each for each in managed if each.namespace not in homes]}
    everything -= {each for stage in people for each in stage}
    installed = [each for each in everything if each.kind not in KEPT]
    rest = [each for each in everything if each.kind in KEPT]
    return Plan(people, tuple(backwards(installed)), tuple(backwards(rest)))


async def peoples(target: Target) -> tuple[tuple[Id, ...], ...]:
    """In the order in which they depend on each other."""
    generated = kinds.of_instances(target.served)
    instances = await asyncio.gather(*[listed(target, kind) for kind in generated])
    ours = [kind for kind in target.served if kind.resource in (OFFERINGS, CONSUMERS, PROVIDERS)]
    owned = {kind.resource: await listed(target, kind) for kind in ours}
    stages = (
        [each for several in instances for each in several],
        owned.get(OFFERINGS, []),
        [*owned.get(CONSUMERS, []), *owned.get(PROVIDERS, [])],
    )
    return tuple(tuple(stage) for stage in stages if stage)


async def listed(target: Target, kind: Kind, labels: dict[str, str] | None = None) -> list[Id]:
    """A kind that may not be listed by whoever runs this is none that was installed by him."""
    resource = kind.resource
    try:
        found = await target.cluster.list(resource, labels=labels, metadata_only=True)
    except ApiError as error:
        if error.status in (403, 404, 405):
            return []
        raise
    names = [(each["metadata"].get("namespace") or "", each["metadata"]["name"]) for each in found["items"]]
    return [Id(resource.group, resource.kind, namespace, name) for namespace, name in names]


async def having(target: Target, labels: dict[str, str]) -> list[Id]:
    wanted = {
        kind.full: kind
        for kind in target.served
        if kind.preferred and "list" in kind.verbs and "delete" in kind.verbs and kind.resource.plural not in ASIDE
    }
    turns = asyncio.Semaphore(applying.AT_ONCE)

    async def of(kind: Kind) -> list[Id]:
        async with turns:
            return await listed(target, kind, labels)

    found = await asyncio.gather(*[of(kind) for kind in wanted.values()])
    return [each for several in found for each in several]


def backwards(ids: Iterable[Id]) -> list[Id]:
    """What was made last goes first; then it is never alone with something missing that it needs."""
    return sorted(ids, key=lambda each: (-bundle.rank(each.kind), each.kind, each.namespace, each.name))


# Doing


async def taken(cluster: Cluster, plan: Plan, *, force: bool, limit: float) -> None:
    target = await Target.of(cluster)
    with progress() as say:
        for stage in (*plan.people, plan.installed, *map(tuple, groups(plan.rest))):
            await removed(target, stage, limit, say, force=force)


def groups(ids: Iterable[Id]) -> list[list[Id]]:
    """By kind, so that each is gone before the next is touched."""
    found: dict[str, list[Id]] = {}
    for each in ids:
        found.setdefault(each.kind, []).append(each)
    return [*found.values()]


async def removed(target: Target, ids: Iterable[Id], limit: float, say: Say, *, force: bool) -> None:
    ids = [*ids]
    for stage in groups(ids):
        say(f"deleting {counted(stage)}")
        await asyncio.gather(*[one(target, each) for each in stage])
    left = await applying.gone(target, ids, min(AGAIN_SECONDS, limit), say)
    if left:
        # Who waits for its finalizer does not mind, and what a controller was just making again goes for good.
        await asyncio.gather(*[one(target, each) for each in left])
        if force:
            await asyncio.gather(*[released(target, each) for each in left])
        left = await applying.gone(target, left, limit, say)
    if left:
        lines = "\n".join([f"  {each}: {await why(target, each)}" for each in left[:10]])
        fix = "run it again; with --force it does not wait for the functions, and takes finalizers off"
        raise RetryLater(f"{len(left)} objects are still there after {limit:g} s; {fix}:\n{lines}")


async def one(target: Target, each: Id) -> None:
    try:
        await target.delete(each)
    except ApiError as error:
        raise Refused(error.reason, f"{each}: the API server refuses: {error.message}") from error


async def released(target: Target, each: Id) -> None:
    """Whoever was to act on it before it goes will not."""
    resource, body = target.known(each.group, each.kind), await target.get(each)
    if resource and body and body["metadata"].get("finalizers"):
        operations = [{"op": "remove", "path": "/metadata/finalizers"}]
        await target.cluster.patch(resource, each.name, operations, each.namespace or None)


async def why(target: Target, each: Id) -> str:
    metadata = ((await target.get(each)) or {}).get("metadata") or {}
    ours = [one for one in metadata.get("finalizers") or () if GROUP in one]
    if ours:
        return f"waits for a function of ours ({', '.join(ours)})"
    return f"waits for {', '.join(metadata.get('finalizers') or ['its contents'])}"
