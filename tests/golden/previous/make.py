"""What the release before this one left behind, made by its own code.

`make previous` at a release's tag, when it is out: the next one's tests start from what it writes here. Until the first
tag it is commit d626aef for the cluster, and for the ledger b0ac4f3, which has the first tables only: `git archive` it
somewhere, and run this file there with PYTHONPATH=., this folder and what to make (`ledger`, `cluster`) as arguments.
"""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from events.readings import CPU, MEMORY, Reading, Subject
from knative.local.layout import REPOSITORY
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.metering.ledger import Ledger
from shared.metering.prices import Price
from tests.e2e.world import World
from tests.ports import free_range

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(hours=6)
TICKS, EACH = 46, 120
CORES_NS = 250_000_000  # a second: a quarter of a core


def told() -> tuple[list[Reading], list[Subject]]:
    """A pod for an hour and a half, under one tenure."""
    times = [START + timedelta(seconds=EACH * tick) for tick in range(TICKS)]
    figures = {
        CPU: [250_000_000 * EACH * tick for tick in range(TICKS)],
        MEMORY: [1_000 + tick for tick in range(TICKS)],
    }
    read = [
        Reading(subject="pod-1", kind="pod", metric=metric, at=at, value=value)
        for metric, values in figures.items()
        for at, value in zip(times, values, strict=True)
    ]
    seen = Subject(
        uid="pod-1",
        kind="pod",
        name="orders-0",
        namespace="database-team-a-orders",
        instance_uid="instance-1",
        instance="team-a/orders",
        offering="database",
        plan="small",
        consumer_namespace="team-a",
        consumer="team-a",
        node="node-1",
        seen_last=times[-1],
    )
    return read, [seen]


async def fill(url: str) -> str:
    """The invoice, as JSON, by the code that is here."""
    ledger = await Ledger.open(url)
    read, seen = told()
    await ledger.record(read, [seen[0].model_copy(update={"seen_last": START}), *seen], END)
    await ledger.note_prices([PRICE], START)
    await ledger.materialise(END)
    found = await ledger.invoice("team-a", START, END)
    await ledger.close()
    return repr(found)


PRICE = Price(
    offering="database", plan="small", per="cpu-core-hour", valid_from=START, currency="EUR", amount=Decimal("4")
)


def ledger(folder: Path) -> None:
    with TemporaryDirectory() as work:
        path = Path(work) / "ledger.db"
        invoice = asyncio.run(fill(f"sqlite+aiosqlite:///{path}"))
        with sqlite3.connect(path) as database:
            (folder / "ledger.sql").write_text("\n".join(database.iterdump()) + "\n")
    (folder / "invoice.txt").write_text(invoice + "\n")


OBSOLETE = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: obsolete
  namespace: chandlery
  labels: {app.kubernetes.io/part-of: chandlery, eventing.knative.dev/broker: offerings}
spec:
  broker: offerings
  subscriber: {uri: "http://127.0.0.1:9"}
"""
KEPT = ("etcd", "nats")


def cluster(folder: Path) -> None:
    """What etcd and NATS had on their disks: an installation with a Trigger that the next one does not have, an
    Offering, and an instance of it that is Ready."""
    with TemporaryDirectory() as work:
        overlay = Path(work) / "overlay"
        overlay.mkdir()
        (overlay / "obsolete.yaml").write_text(OBSOLETE)
        base = os.path.relpath(REPOSITORY / "knative/overlays/local", overlay)
        kustomization = {"kind": "Kustomization", "resources": [base, "obsolete.yaml"]}
        (overlay / "kustomization.yaml").write_text(json.dumps(kustomization))
        stack = Stack(Path(work) / "stack", free_range())
        stack.up()
        try:
            path = f"{stack.layout.bin}{os.pathsep}{os.environ['PATH']}"
            command = [str(stack.layout.bin / "chandlery"), "upgrade", str(overlay)]
            subprocess.run(command, check=True, env=os.environ | {"PATH": path})
            asyncio.run(ordered(stack))
            for name in ("functions", "apiserver", *KEPT):
                stack.stop(name)
            with tarfile.open(folder / "cluster.tar.xz", "w:xz") as archive:
                for name in KEPT:
                    archive.add(stack.layout.run / name, name)
        finally:
            stack.down()


async def ordered(stack: Stack) -> None:
    found = await Cluster.open(str(stack.layout.kubeconfig))
    world = World(stack, found, WORLD)
    await world.open()
    await world.offered("Database", "hello")
    await world.order("Database", "one")
    await world.ready("Database", "one")
    await found.close()


WORLD = "previous"

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent
    for make in [{"ledger": ledger, "cluster": cluster}[each] for each in sys.argv[2:] or ("ledger", "cluster")]:
        make(folder)
