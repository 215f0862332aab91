"""`chandlery verify isolation`: what is allowed, what is denied, and what is not as promised."""

import json
import sys
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli import session
from shared.errors import Refused
from shared.isolation import Finding
from shared.verification import Verification

verify = typer.Typer(no_args_is_help=True, help="Hold what is in force against what was promised.")

COLOURS = {"allowed": "green", "denied": "green", "granted": "yellow", "wrong": "bold red", "unseen": "dim"}
ORDER = ("wrong", "unseen", "granted", "allowed", "denied")


@verify.command()
def isolation(
    instance: Annotated[
        str | None, typer.Argument(metavar="NAMESPACE/INSTANCE", help="Or plural.group/namespace/name; default: all.")
    ] = None,
    output: Annotated[Literal["table", "json"], typer.Option("--output", "-o")] = "table",
) -> None:
    """Rights of Consumers, bounds of release namespaces, and who reaches whom.

    Exit code 1 when anything is not as promised, or nothing could be seen.
    """
    seen = session.run(lambda cluster: Verification(cluster, instance).look())
    found = sorted(dict.fromkeys(seen.findings), key=lambda each: (ORDER.index(each.verdict), each))
    hidden = any(each.verdict == "unseen" for each in found)
    if not seen.instances and instance and not hidden:
        fix = "write NAMESPACE/INSTANCE; one that is not deployed yet is not looked at"
        raise Refused("NotFound", f"{instance}: there is no such instance; {fix}")
    if output == "json":
        print(json.dumps([each._asdict() for each in found], indent=2))
    else:
        show(found)
    if hidden and not seen.instances:
        print(f"{instance or 'no instance'}: not visible with these rights: nothing was verified", file=sys.stderr)
        raise typer.Exit(1)
    if any(each.verdict == "wrong" for each in found):
        raise typer.Exit(1)


def show(found: list[Finding]) -> None:
    table = Table("", "WHOSE", "WHAT", "WHY, OR THE FIX", box=None, pad_edge=False)
    for each in found:
        cells = [Text(cell) for cell in (each.verdict, each.subject, each.what, each.fix)]
        table.add_row(*cells, style=COLOURS[each.verdict])
    console = Console()
    console.print(table)
    counted = ", ".join(f"{sum(each.verdict == kind for each in found)} {kind}" for kind in ORDER)
    console.print(f"\n{counted}")
