"""`chandlery events`: what no function took, and sending it again once the cause is mended."""

import asyncio
import json
import os
from typing import Annotated, Any

import typer
from cloudevents.conversion import to_json
from rich.console import Console
from rich.table import Table

from cli.push import nats_url
from shared.brokers import Brokers
from shared.errors import Refused
from shared.letters import DeadLetters, Letter
from shared.lifetime import close_all, opened

events = typer.Typer(no_args_is_help=True, help="Events that no function took: list them, send them again.")

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest last.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON lines, with what the events say.")]
Event = Annotated[str, typer.Argument(help="The id, or the beginning of one, as `chandlery events dead` shows it.")]


@events.command()
def dead(limit: Limit = 100, *, as_json: Json = False) -> None:
    """List dead letters. $NATS_URL says where they are kept."""
    found = asyncio.run(kept(limit))
    if as_json:
        for each in found:
            print(json.dumps(document(each)))
    elif found:
        Console().print(table(found))
    else:
        print("no dead letters")


@events.command()
def replay(event: Event) -> None:
    """Send a dead letter to its Broker again, as it was, and forget it. Who took it the first time gets it again too.

    From outside a cluster, forward a port to the Brokers' ingress and say where in $CHANDLERY_INGRESS.
    """
    sent = asyncio.run(again(event))
    print(f"sent {sent.id} ({sent.event['type']}) to broker {sent.broker} again")


def document(one: Letter) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": one.at.isoformat() if one.at else None,
        "broker": one.broker,
        "function": one.function,
        "code": one.code,
        "error": one.error,
        "event": json.loads(to_json(one.event)),
    }


def table(found: list[Letter]) -> Table:
    shown = Table(box=None, pad_edge=False)
    for column in ("ID", "KEPT", "TYPE", "SUBJECT", "FUNCTION", "CODE"):
        shown.add_column(column, overflow="fold")
    for each in found:
        at = each.at.strftime("%Y-%m-%d %H:%M:%S") if each.at else ""
        subject = str(each.event.get_attributes().get("subject", ""))
        shown.add_row(each.id, at, str(each.event["type"]), subject, each.function, each.code)
    return shown


def meant(found: list[Letter], event: str) -> Letter:
    """The newest with that id; the beginning of an id will do if it is of one only."""
    named = [each for each in found if each.id.startswith(event)]
    if not named:
        raise Refused("NotFound", f"{event}: there is no such dead letter; `chandlery events dead` lists them")
    ids = sorted({each.id for each in named})
    if len(ids) > 1 and event not in ids:
        raise Refused("Ambiguous", f"{event}: could be {', '.join(ids[:5])}; give more of it")
    return next(each for each in reversed(named) if each.id == event or len(ids) == 1)


async def kept(limit: int) -> list[Letter]:
    letters = await DeadLetters.open(nats_url(os.environ))
    try:
        return await letters.newest(limit)
    finally:
        await letters.close()


async def again(event: str) -> Letter:
    letters = await DeadLetters.open(nats_url(os.environ))
    try:
        found = meant(await letters.newest(10_000), event)
        await (await opened(Brokers)).send(found.broker, found.event)
        await letters.forget(found.number)
        return found
    finally:
        await letters.close()
        await close_all()
