"""The command line of the local stack."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from knative.local.build import BuildError
from knative.local.build import build as build_tools
from knative.local.layout import PORT
from knative.local.node.node import Node
from knative.local.node.requirements import missing
from knative.local.run import tour
from knative.local.stack import Stack
from knative.local.tools import MODULES, NODE_MODULES, cache
from knative.local.waiting import StackError, say

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Local = Annotated[Path, typer.Option("--local", envvar="LOCAL", help="Where the stack keeps its files.")]
Port = Annotated[int | None, typer.Option("--port", envvar="PORT", help=f"First of 100 ports. [default: {PORT}]")]
Functions = Annotated[str, typer.Option(envvar="FUNCTIONS", help="'all' in one process, or one process for 'each'.")]

LOCAL = Path(".local")


@app.command()
def up(local: Local = LOCAL, port: Port = None, functions: Functions = "all") -> None:
    """Start everything in the background; what runs already is left alone."""
    Stack(local, port, each=functions == "each").up()


@app.command()
def down(local: Local = LOCAL) -> None:
    """Stop everything and wipe its files."""
    Stack(local).down()


@app.command()
def node(local: Local = LOCAL, port: Port = None, functions: Functions = "all") -> None:
    """Add a real node (root): containerd, kubelet, kube-proxy. Starts the stack if need be."""
    Node(Stack(local, port, each=functions == "each")).up()


@app.command()
def node_down(local: Local = LOCAL) -> None:
    """Take the real node away and put the machine back as it was."""
    Node(Stack(local)).down()


@app.command()
def status(local: Local = LOCAL) -> None:
    """Show the processes. Exit code 1 if one is not running."""
    stack = Stack(local)
    processes = [*stack.status(), *Node(stack).status()]
    if not processes:
        raise SystemExit(f"nothing is up in {local.absolute()}")
    for process in processes:
        print(f"{process['name']:<20} {process['statename']:<9} {process['description']}")
    raise SystemExit(any(process["statename"] != "RUNNING" for process in processes))


@app.command()
def restart(name: str, local: Local = LOCAL) -> None:
    """Restart one process, for example `functions` after a change of code."""
    Stack(local).restart(name)


@app.command()
def logs(name: Annotated[str, typer.Argument(help="A process; all if absent.")] = "*", local: Local = LOCAL) -> None:
    """Follow the log of a process."""
    folders = (local / "logs", local / "node/logs")
    files = sorted(path for folder in folders for path in folder.glob(f"{name}.log"))
    if not files:
        known = sorted(path.stem for folder in folders for path in folder.glob("*.log"))
        raise SystemExit(f"no log of {name}; there are: {', '.join(known) or 'none'}")
    try:
        subprocess.run(["tail", "-n", "50", "-F", *files], check=False)
    except KeyboardInterrupt:
        sys.exit()


@app.command()
def build(*, node: Annotated[bool, typer.Option("--node", help="A real node's, too.")] = False) -> None:
    """Build the programs that are missing."""
    if node and (reason := missing()):
        say(f"not built for a real node: {reason}")
        node = False
    tools = build_tools((*MODULES, *NODE_MODULES) if node else MODULES)
    print(f"{len(tools.programs)} programs in {cache() / 'tools'}")


@app.command()
def run(local: Local = LOCAL, port: Port = None, functions: Functions = "all") -> None:
    """Up, the example, and how to go on; in the foreground until Ctrl-C, which takes it down."""
    stack = Stack(local, port, each=functions == "each")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        stack.up()
        tour(stack.layout)
        print("The stack runs until Ctrl-C.", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        for again in (signal.SIGINT, signal.SIGTERM):  # make passes on what it gets: one is enough
            signal.signal(again, signal.SIG_IGN)
        print("\nstopping ...", flush=True)
        stack.down()


if __name__ == "__main__":
    try:
        app()
    except (StackError, BuildError, TimeoutError) as error:
        raise SystemExit(f"error: {error}") from None
