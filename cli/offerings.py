"""What is known of an Offering: `chandlery sample` and `chandlery parameters` read its ConfigMap."""

import asyncio
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table

from shared import dossier
from shared.cluster import Cluster
from shared.errors import Refused
from shared.offering import Offering as Model
from shared.resources import OFFERINGS

SHOWN = 3

Offering = Annotated[str, typer.Argument(help="The Offering's name.")]


def sample(offering: Offering) -> None:
    """Print a manifest to start from, with every parameter, its description and its default."""
    print(asyncio.run(document(offering, dossier.SAMPLE)), end="")


def parameters(offering: Offering) -> None:
    """Show what each parameter reaches in the chart's manifests."""
    found: dict[str, Any] = yaml.safe_load(asyncio.run(document(offering, dossier.PARAMETERS)))
    console = Console()
    console.print(table(found.get("parameters") or {}))
    for warning in found.get("warnings") or ():
        console.print(f"warning: {warning}", style="yellow", markup=False)


def table(entries: dict[str, Any]) -> Table:
    shown = Table("PARAMETER", "VALUE OF THE CHART", "REACHES", box=None, pad_edge=False, header_style="")
    for name, entry in entries.items():
        if isinstance(entry, dict):
            shown.add_row(name, entry.get("path", ""), reached(entry))
        else:
            shown.add_row(name, "", str(entry))  # the ConfigMap says how many it left out
    return shown


def reached(entry: dict[str, Any]) -> str:
    if "notTried" in entry:
        return f"not tried: {entry['notTried']}"
    reaches = entry.get("reaches", "nothing")
    if isinstance(reaches, str):
        return f"{reaches}: fixed by {entry['fixedBy']}" if "fixedBy" in entry else reaches
    more = [f"and {len(reaches) - SHOWN} more"] if len(reaches) > SHOWN else []
    return "\n".join([*reaches[:SHOWN], *more])


async def document(name: str, key: str) -> str:
    """Raises Refused with what is missing."""
    cluster = await Cluster.open()
    try:
        found = await cluster.get(OFFERINGS, name)
        if found is None:
            raise Refused("NotFound", f"there is no offering {name}; `kubectl get offerings` lists them")
        offering = Model.model_validate(found)
        text = (await dossier.read(cluster, offering.metadata)).get("data", {}).get(key)
    finally:
        await cluster.close()
    if text is None:
        raise Refused("NotFound", f"offering {name} has no {key} yet; `kubectl get offering {name}` says how it stands")
    return str(text)
