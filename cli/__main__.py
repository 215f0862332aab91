"""The `chandlery` command."""

import sys
from collections.abc import Callable
from pathlib import Path

import structlog
import typer

from cli.describe import describe
from cli.doctor import doctor
from cli.events import events
from cli.focus import focus
from cli.grants import grant, grants, revoke
from cli.install import install, upgrade
from cli.invoice import invoice
from cli.listing import instances, offerings
from cli.logs import logs
from cli.network import network
from cli.offerings import parameters, sample
from cli.push import push
from cli.tree import resources
from cli.uninstall import uninstall
from cli.usage import usage
from cli.verify import verify
from shared.errors import Refused, RetryLater

app = typer.Typer(name="chandlery", help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)
COMMANDS: tuple[Callable[..., None], ...] = (
    *(push, sample, parameters, grant, revoke, grants),
    *(offerings, instances, describe, logs, resources),
    *(usage, invoice),
    *(doctor, install, upgrade, uninstall),
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(network, name="network")
app.add_typer(verify, name="verify")
app.add_typer(focus, name="focus")
app.add_typer(events, name="events")


@app.callback()
def quietly() -> None:
    """Helm charts as a service."""
    structlog.configure(processors=[_drop])  # what goes wrong is said once, at the end


def _drop(*_: object) -> structlog.typing.EventDict:
    raise structlog.DropEvent


def main() -> None:
    try:
        app(prog_name="kubectl chandlery" if Path(sys.argv[0]).name.startswith("kubectl") else "chandlery")
    except Refused as refused:
        raise SystemExit(f"error: {refused.message}") from None
    except (RetryLater, OSError) as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
