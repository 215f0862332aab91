"""`chandlery push`: put a chart where an Offering can name it by its digest."""

import asyncio
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

from cli.packing import Package, package
from shared.cache import Cache
from shared.errors import RetryLater
from shared.nats_client import Unfit
from shared.store import ChartStore

NATS = "nats://127.0.0.1:4222"
PATIENCE = 600.0
LARGE = 1024 * 1024
"""Below, a progress bar would only flash."""

Chart = Annotated[Path, typer.Argument(help="A packed chart, or a chart's folder, which helm packs.")]
Prov = Annotated[Path | None, typer.Option(help="Its signature. Without it: CHART.prov, if that is there.")]


def push(chart: Chart, prov: Prov = None) -> None:
    """Push a chart; prints its digest, and how an Offering names it. $NATS_URL says where to,
    $NATS_CREDS or $NATS_NKEY as whom."""
    found = package(chart, prov)
    asyncio.run(send(found, nats_url(os.environ)))
    print(told(found))


def nats_url(environment: Mapping[str, str]) -> str:
    """What is said; or else the local stack in $LOCAL, which wrote down where its NATS is."""
    if environment.get("NATS_URL"):
        return environment["NATS_URL"]
    local = Path(environment.get("LOCAL") or ".local") / "nats"
    return local.read_text().strip() if local.is_file() else NATS


async def send(found: Package, url: str) -> None:
    with tempfile.TemporaryDirectory() as folder, _bar(len(found.archive)) as bar:
        try:
            store = await ChartStore.open(url, Cache.open(Path(folder)))
        except Unfit:
            raise
        except RetryLater as error:
            fix = "is the stack up (`make up`)? For another one, set NATS_URL"
            raise RetryLater(f"there is no NATS at {url}: {fix}") from error
        try:
            await store.put(found.archive, found.prov, _advance(bar, len(found.archive)), PATIENCE, pushed=True)
        finally:
            await store.close()


def _bar(size: int) -> Progress:
    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console, disable=size < LARGE or not console.is_terminal)


def _advance(bar: Progress, size: int) -> Callable[[int], None]:
    task = bar.add_task("push", total=size)
    return lambda sent: bar.advance(task, sent)


def told(found: Package) -> str:
    chart = found.chart
    signed = ", with its signature" if found.prov else ""
    return f"""\
pushed {chart.name} {chart.version} ({len(found.archive) / 1024:.0f} KiB){signed}
{chart.digest}

  spec:
    chart:
      archive: {chart.digest}"""
