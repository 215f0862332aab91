"""`chandlery verify isolation`: what is allowed, what is denied, and what is not as promised."""

import asyncio
import json
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from shared.cluster import Cluster
from shared.errors import Refused
from shared.isolation import Finding
from shared.verification import Verification

verify = typer.Typer(no_args_is_help=True, help="Hold what is in force against what was promised.")

COLOURS = {"allowed": "green", "denied": "green", "granted": "yellow", "wrong": "bold red", "unseen": "dim"}
ORDER = ("wrong", "unseen", "granted", "allowed", "denied")


@verify.command()
def isolation(
    instance: Annotated[str | None, typer.Argument(help="As namespace/name; default: all")] = None,
    output: Annotated[Literal["table", "json"], typer.Option("--output", "-o")] = "table",
) -> None:
    """Rights of Consumers, bounds of release namespaces, and which instance reaches which.

    Exit code 1 when anything is not as promised.
    """
    found = asyncio.run(look(instance))
    if output == "json":
        print(json.dumps([each._asdict() for each in found], indent=2))
    else:
        show(found)
    if any(each.verdict == "wrong" for each in found):
        raise typer.Exit(1)


async def look(instance: str | None) -> list[Finding]:
    cluster = await Cluster.open()
    try:
        seen = await Verification(cluster, instance).look()
    finally:
        await cluster.close()
    if instance and instance not in seen.instances:
        raise Refused("NotFound", f"{instance}: there is no such instance, or none that you see; write namespace/name")
    return sorted(dict.fromkeys(seen.findings), key=lambda each: (ORDER.index(each.verdict), each))


def show(found: list[Finding]) -> None:
    table = Table("", "WHOSE", "WHAT", "WHY, OR THE FIX", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.verdict, each.subject, each.what, each.fix, style=COLOURS[each.verdict])
    console = Console()
    console.print(table)
    counted = ", ".join(f"{sum(each.verdict == kind for each in found)} {kind}" for kind in ORDER)
    console.print(f"\n{counted}")
