"""Rights beside those that follow from a Consumer or a Provider: `chandlery grant`, `revoke` and `grants`.

They are written with the rights of whoever runs the command: Kubernetes refuses to hand on what he doesn't hold.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shared import extras, granted
from shared.access import Consumer, Grantee, Provider
from shared.cluster import Cluster
from shared.errors import ApiError, Refused
from shared.grants import Owned, is_extra
from shared.resources import ROLES

Who = Annotated[str, typer.Argument(metavar="CONSUMER|provider/NAME", help="Whom it is about.")]
Given = Annotated[
    Path, typer.Option("--file", "-f", help="Rules of verbs, apiGroups, resources, ... as YAML or JSON; - is stdin.")
]
Where = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Only there; without it, in the whole cluster.", show_default=False),
]
Number = Annotated[
    int | None, typer.Argument(help="Which of them, as `chandlery grants` numbers them; without it, all.")
]

COLUMNS = {
    "VERBS": "verbs",
    "API GROUPS": "apiGroups",
    "RESOURCES": "resources",
    "NAMES": "resourceNames",
    "URLS": "nonResourceURLs",
}


def grant(who: Who, file: Given, namespace: Where = None) -> None:
    """Give a consumer or a provider rights from a file, besides its own."""
    rules = extras.rules_in(read(file), str(file))

    async def give(cluster: Cluster, grantee: Grantee, found: list[Owned]) -> str:
        number = extras.next_number(found)
        role, binding = extras.besides(grantee, rules, number, namespace)
        await cluster.create(role.resource, role.body)
        try:
            await cluster.create(binding.resource, binding.body)
        except ApiError:
            await granted.remove(cluster, role)
            raise
        return f"granted as number {number}: `chandlery revoke {who} {number}` takes it away"

    print(run(who, give))


def revoke(who: Who, number: Number = None) -> None:
    """Take rights away that were given with `chandlery grant`."""

    async def take(cluster: Cluster, grantee: Grantee, found: list[Owned]) -> str:
        gone = extras.of_number(found, number)
        if not gone:
            raise Refused("NotFound", f"{who} was given nothing of the kind; `chandlery grants {who}` shows what was")
        for each in gone:
            await granted.remove(cluster, each)
        numbers = sorted({extras.number_of(each) for each in gone})
        return f"revoked from {grantee.account}: {', '.join(str(each) for each in numbers)}"

    print(run(who, take))


def grants(who: Who) -> None:
    """Show the rights a consumer or a provider has, with those that were given with `chandlery grant`."""

    async def show(cluster: Cluster, grantee: Grantee, _: list[Owned]) -> Table:
        return table(await granted.found_of(cluster, {grantee.MARK: grantee.metadata.name}))

    Console().print(run(who, show))


def table(found: list[Owned]) -> Table:
    shown = Table("NUMBER", "WHERE", *COLUMNS, box=None, pad_edge=False, header_style="")
    for owned in found:
        for rule in owned.body.get("rules") or ():
            number = str(extras.number_of(owned)) if is_extra(owned) else ""
            cells = [", ".join(word or '""' for word in rule.get(key) or ()) for key in COLUMNS.values()]
            where = owned.body["metadata"]["namespace"] if owned.resource == ROLES else "everywhere"
            shown.add_row(number, where, *cells)
    return shown


def read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read(extras.SIZE_LIMIT + 1)
    try:
        with file.open() as opened:
            return opened.read(extras.SIZE_LIMIT + 1)
    except UnicodeDecodeError as error:
        raise Refused("InvalidPermissions", f"{file}: is no text") from error


def run(who: str, work: Callable[[Cluster, Grantee, list[Owned]], Awaitable[Any]]) -> Any:
    kind, name = extras.kind_and_name(who)

    async def session() -> Any:
        cluster = await Cluster.open()
        try:
            grantee = await found_in(cluster, kind, name)
            mine = await granted.found_of(cluster, {grantee.MARK: name})
            return await work(cluster, grantee, [each for each in mine if is_extra(each)])
        finally:
            await cluster.close()

    try:
        return asyncio.run(session())
    except ApiError as error:
        raise Refused(error.reason, f"{who}: the API server refuses: {error.message}") from error


async def found_in(cluster: Cluster, kind: str, name: str) -> Grantee:
    model: type[Grantee] = Provider if kind == "provider" else Consumer
    found = await cluster.get(model.RESOURCE, name)
    if found is None:
        raise Refused("NotFound", f"there is no {kind} {name}; `kubectl get {model.RESOURCE.plural}` lists them")
    return model.model_validate(found)
