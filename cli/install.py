"""`chandlery install` and `chandlery upgrade`: an overlay's manifests, by server-side apply, in the order they need."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import typer

from cli import applying, bundle, installation, output, session
from cli.applying import Say, Target
from cli.bundle import Id, Object
from cli.installation import Installation
from cli.progress import progress
from shared.cluster import Cluster
from shared.errors import ApiError, Refused

TIMEOUT = 300.0

Overlay = Annotated[
    str, typer.Argument(help="An overlay of knative/overlays, a folder with a kustomization, or a file of manifests.")
]
Image = Annotated[
    str | None, typer.Option(help="Of our functions, where the cluster can pull it from.", show_default=False)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
Timeout = Annotated[float, typer.Option(help="How many seconds to wait until all is ready.", min=1)]


def install(
    overlay: Overlay = bundle.DEFAULT, image: Image = None, dry_run: DryRun = False, timeout: Timeout = TIMEOUT
) -> None:
    """Install Chandlery in this cluster."""
    bodies = wanted(overlay, image)

    async def work(cluster: Cluster) -> None:
        before = await installation.read(cluster)
        if before and before.complete and not dry_run:
            fix = "`chandlery upgrade` brings it up to date"
            raise Refused("Installed", f"Chandlery is installed already ({before.shown}); {fix}")
        await put(cluster, overlay, bodies, before, dry_run=dry_run, timeout=timeout)

    session.run(work)


def upgrade(
    overlay: Annotated[
        str | None, typer.Argument(help="As for install; default: the one that is installed.", show_default=False)
    ] = None,
    image: Image = None,
    dry_run: DryRun = False,
    timeout: Timeout = TIMEOUT,
) -> None:
    """Bring what is installed up to this version; what it has no more is taken away, but for people's data."""

    async def work(cluster: Cluster) -> None:
        before = await installation.read(cluster)
        if before is None and overlay is None:
            raise Refused("NotFound", "`chandlery install` has installed nothing here; say which OVERLAY it is")
        said = overlay or (before.overlay if before else bundle.DEFAULT)
        await put(cluster, said, wanted(said, image), before, dry_run=dry_run, timeout=timeout)

    session.run(work)


def wanted(overlay: str, image: str | None) -> list[Object]:
    bodies = bundle.load(overlay)
    return bundle.image(bodies, image) if image else bodies


async def put(
    cluster: Cluster,
    overlay: str,
    bodies: list[Object],
    before: Installation | None,
    *,
    dry_run: bool,
    timeout: float,  # noqa: ASYNC109 it is told what it waits for
) -> None:
    target = await Target.of(cluster)
    if missing := applying.missing_kinds(bodies, target):
        raise applying.unserved(missing)
    ids = [bundle.id_of(body) for body in bodies]
    obsolete = installation.obsolete(before, ids)
    if dry_run:
        await printed(target, ids, obsolete)
        return
    with progress() as say:
        await all_of(target, overlay, bodies, before, say)
        await applying.settled(target, ids, timeout, say)
        await taken_away(target, obsolete, ids, timeout, say)
        await installation.write(cluster, overlay, ids, complete=True)
    print(f"installed: {counted(ids)}" + (f"; taken away: {counted(obsolete)}" if obsolete else ""))


async def all_of(target: Target, overlay: str, bodies: list[Object], before: Installation | None, say: Say) -> None:
    """What is about to be made is written down first: then it can be taken away, however far this comes."""
    ids = {bundle.id_of(body) for body in bodies} | (before.objects if before else frozenset())
    for stage in bundle.stages(bodies):
        say(f"applying {counted(bundle.id_of(body) for body in stage)}")
        await asyncio.gather(*[one(target, body) for body in stage])
        kind = stage[0]["kind"]
        if kind == "Namespace":
            await installation.write(target.cluster, overlay, ids, complete=False)
        if kind == "CustomResourceDefinition":
            await applying.settled(target, [bundle.id_of(body) for body in stage], applying.PATIENCE, say)


async def taken_away(target: Target, obsolete: list[Id], ids: list[Id], limit: float, say: Say) -> None:
    """Last, for until then the old may have been in use; whether anything still needs it shows only now."""
    if not obsolete:
        return
    say(f"deleting {counted(obsolete)}")
    await asyncio.gather(*[target.delete(each) for each in obsolete])
    await applying.settled(target, ids, limit, say)


async def one(target: Target, body: Object) -> None:
    try:
        await target.apply(body)
    except ApiError as error:
        raise applying.refused(bundle.id_of(body), error) from error


async def printed(target: Target, ids: list[Id], obsolete: list[Id]) -> None:
    there = {*await target.there(ids)}
    rows = [("change" if each in there else "create", each) for each in ids] + [("delete", each) for each in obsolete]
    output.show(output.table(["WOULD", "OBJECT"], rows))


def counted(ids: Iterable[Id]) -> str:
    counts = Counter(each.kind for each in ids)
    return ", ".join(f"{count} {kind if count == 1 else plural(kind)}" for kind, count in counts.items()) or "nothing"


def plural(kind: str) -> str:
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
