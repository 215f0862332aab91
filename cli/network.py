"""`chandlery network`: open two instances to each other, and close them again. Each side names the other."""

import asyncio
from typing import Annotated

import typer

from shared.cluster import Cluster
from shared.errors import ApiError, NotFound, Refused
from shared.policies import PEERS
from shared.resources import Resource

network = typer.Typer(no_args_is_help=True, help="Open pairs of instances to each other.")

Instance = Annotated[
    str, typer.Argument(help="As plural.group/namespace/name: databases.acme.example.com/team-a/orders.")
]


@network.command()
def allow(a: Instance, b: Instance) -> None:
    """Let the pods of two instances reach each other. With rights on one side only, the other one must do the same."""
    asyncio.run(change(a, b, present=True))


@network.command()
def deny(a: Instance, b: Instance) -> None:
    """Close them to each other. One side is enough."""
    asyncio.run(change(a, b, present=False))


def parts(instance: str) -> tuple[str, str, str, str]:
    """Plural, group, namespace, name."""
    kind, _, where = instance.partition("/")
    namespace, _, name = where.partition("/")
    plural, _, group = kind.partition(".")
    if not all((plural, group, namespace, name)) or "/" in name:
        raise Refused("NotFound", f"{instance}: write it as plural.group/namespace/name")
    return plural, group, namespace, name


def with_peer(told: str, peer: str, *, present: bool) -> str:
    """The annotation with or without one of those it names."""
    others = [each for each in (one.strip() for one in told.split(",")) if each and each != peer]
    return ",".join([*others, peer] if present else others)


async def change(a: str, b: str, *, present: bool) -> None:
    cluster = await Cluster.open()
    done, refused = [], []
    try:
        for one, other in ((a, b), (b, a)):
            try:
                await annotate(cluster, one, other, present=present)
                done.append(one)
            except ApiError as error:
                refused.append(f"{one}: {error.message}")
    finally:
        await cluster.close()
    if not done:
        raise Refused("Forbidden", "; ".join(refused))
    what = "is open to" if present else "is closed to"
    for one, other in ((a, b), (b, a)):
        print(f"{one} {what} {other}" if one in done else f"{one} was not changed")
    if refused:
        still = "nothing flows until its owner does the same" if present else "nothing flows all the same"
        print(f"{'; '.join(refused)}\n{still}")


async def annotate(cluster: Cluster, instance: str, peer: str, *, present: bool) -> None:
    plural, group, namespace, name = parts(instance)
    parts(peer)
    try:
        served = await cluster.document(f"/apis/{group}")
    except NotFound as missing:
        raise Refused("NotFound", f"{instance}: nothing is served in group {group}") from missing
    kind = Resource(group, served["preferredVersion"]["version"], plural, "")
    found = await cluster.get(kind, name, namespace)
    if found is None:
        raise Refused("NotFound", f"there is no {instance}")
    metadata = found["metadata"]
    told = metadata.get("annotations") or {}
    changed = told | {PEERS: with_peer(told.get(PEERS, ""), peer, present=present)}
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/metadata/annotations", "value": changed},
    ]
    await cluster.patch(kind, name, operations, namespace)
