"""The main job, shown: an Offering becomes an API, an order becomes a running release, and what is deleted is gone."""

import os
import shlex
import subprocess
import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from knative.local.layout import REPOSITORY, Layout
from knative.local.waiting import StackError

EXAMPLES = "examples"
DOCUMENTED_SECONDS = 15
"""The API server documents a new kind a moment after it serves it."""


@dataclass
class Tour:
    """Types what a person would type, shows what they would see, and remembers how long each step took."""

    layout: Layout
    console: Console = field(default_factory=lambda: Console(highlight=False, width=110))
    steps: list[tuple[str, float]] = field(default_factory=list)

    def step(self, title: str, *commands: str) -> None:
        self.console.print(f"\n[bold]{title}[/bold]")
        started = time.monotonic()
        for command in commands:
            self.type(command)
        self.steps.append((title, time.monotonic() - started))

    def type(self, command: str) -> None:
        self.console.print(f"[cyan]$ {command}[/cyan]", soft_wrap=True)
        done = self.run(command)
        until = time.monotonic() + DOCUMENTED_SECONDS
        while "couldn't find resource" in done.stderr and time.monotonic() < until:
            time.sleep(0.5)
            done = self.run(command)
        self.console.print((done.stdout + done.stderr).rstrip(), markup=False, soft_wrap=True)
        if done.returncode:
            raise StackError(f"`{command}` failed; `make logs NAME=functions` may say why")

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.layout.kubeconfig),
            "PATH": f"{self.layout.bin}{os.pathsep}{os.environ['PATH']}",
        }
        return subprocess.run(
            shlex.split(command), cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )


def tour(layout: Layout) -> None:
    found = Tour(layout)
    instances, offering = f"{EXAMPLES}/instances", f"{EXAMPLES}/offerings/postgres.yaml"
    found.step(
        "A provider registers a chart and gets a consumer API",
        f"kubectl apply -f {offering}",
        "kubectl wait offering/database --for=condition=Ready --timeout=60s",
        "kubectl explain database.spec",
    )
    found.step(
        "A consumer orders an instance; its release runs in a namespace of its own",
        f"kubectl apply -f {EXAMPLES}/team-a.yaml",
        f"kubectl apply -f {instances}/orders.yaml",
        "kubectl -n team-a wait database/orders --for=condition=Ready --timeout=120s",
        "kubectl -n team-a get databases",
    )
    found.step(
        "The consumer changes it; Helm upgrades the release",
        'kubectl -n team-a patch database orders --type=merge -p \'{"spec": {"plan": "large"}}\'',
        "kubectl -n team-a wait database/orders --for=condition=Ready --timeout=120s",
    )
    found.step(
        "A second one is ordered, the first is deleted, and nothing of it is left",
        f"kubectl apply -f {instances}/billing.yaml",
        "kubectl -n team-a wait database/billing --for=condition=Ready --timeout=120s",
        "kubectl -n team-a delete database orders --timeout=120s",
        "kubectl get namespaces -l chandlery.dev/instance=orders",
    )
    summary(found)


def summary(found: Tour) -> None:
    found.run("kubectl wait offering/database --for=jsonpath={.status.instances.total}=1 --timeout=10s")
    table = Table(title="\nWhat happened", title_justify="left", show_edge=False)
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for title, seconds in found.steps:
        table.add_row(title, f"{seconds:.1f}")
    found.console.print(table)
    found.console.print("\nWhat is there now")
    found.type("kubectl get offerings")
    found.type("kubectl get databases -A")
    home = os.path.relpath(found.layout.home)
    found.console.print(
        f"""
Try next, in another terminal:

  export KUBECONFIG=$PWD/{home}/kubeconfig PATH=$PWD/{home}/bin:$PATH
  kubectl -n team-a describe database billing     # conditions, endpoints, notes
  kubectl apply -f examples/offerings/hello.yaml  # offer another chart
  helm list -A                                    # the releases, as Helm sees them
""",
        markup=False,
        soft_wrap=True,
    )
