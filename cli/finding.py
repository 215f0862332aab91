"""Which object an argument names: KIND/NAME with -n, NAMESPACE/NAME, or NAME alone."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

import typer

from cli import kinds, session
from cli.kinds import Kind
from cli.session import Sight
from shared.cluster import Cluster, Object
from shared.errors import Refused

Instance = Annotated[
    str,
    typer.Argument(
        metavar="INSTANCE", help="KIND/NAME, NAMESPACE/NAME, or NAME: database/orders, team-a/orders, orders."
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Where it is; default: the kubeconfig's namespace.", show_default=False),
]
Named = tuple[str | None, str | None, str]
"""Kind, namespace, name: as far as they were said."""


@dataclass(frozen=True)
class Found:
    kind: Kind
    body: Object


def parts(said: str, namespace: str | None, served: list[Kind]) -> Named:
    """What stands before the slash is a kind if there is one of that name, else a namespace."""
    words = said.split("/")
    if not all(words) or len(words) > 3:
        raise Refused("NotFound", f"{said}: write it as KIND/NAME, NAMESPACE/NAME, or NAME")
    if len(words) == 3:
        return words[0], words[1], words[2]  # as `chandlery network` has it
    if len(words) == 1:
        return None, namespace, said
    first, name = words
    if namespace or any(kinds.CATEGORY in kind.categories and kind.called(first) for kind in served):
        return first, namespace, name
    return None, first, name


async def find(
    cluster: Cluster, said: str, namespace: str | None, served: list[Kind], *, instance: bool = True
) -> Found:
    """The one object that is meant; raises Refused with what is missing, or what else it might be."""
    sight = Sight(cluster)  # of its own: kinds that are not meant are nobody's business
    kind, where, name = parts(said, namespace, served)
    there = where or session.home()
    candidates = [kinds.named(kind, served)] if kind else kinds.of_instances(served)
    if instance:
        candidates = [each for each in candidates if each.of_instances]
        if not candidates:
            raise Refused("NotFound", f"{said}: is no instance of an Offering; `chandlery instances --all` lists them")
    bodies = await asyncio.gather(
        *[sight.get(each.resource, name, there if each.resource.namespaced else None) for each in candidates]
    )
    found = [Found(each, body) for each, body in zip(candidates, bodies, strict=True) if body]
    if len(found) > 1:
        choices = " or ".join(f"{each.kind.full}/{name}" for each in found)
        raise Refused("Ambiguous", f"{said} is the name of several instances; write {choices}")
    if not found:
        raise Refused("NotFound", missing(said, there if candidates[0].resource.namespaced else None, sight.hidden))
    return found[0]


def missing(said: str, namespace: str | None, hidden: list[str]) -> str:
    where = f" in namespace {namespace}" if namespace else ""
    if hidden:
        return f"{said}: not visible to you: {'; '.join(hidden)}"
    fix = "; say where with -n, or find it with `chandlery instances --all`" if namespace else ""
    return f"there is no {said}{where}{fix}"
