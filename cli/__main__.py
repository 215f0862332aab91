"""The `chandlery` command."""

import structlog
import typer

from cli.events import events
from cli.focus import focus
from cli.grants import grant, grants, revoke
from cli.invoice import invoice
from cli.network import network
from cli.offerings import parameters, sample
from cli.push import push
from cli.usage import usage
from cli.verify import verify
from shared.errors import Refused, RetryLater

app = typer.Typer(
    name="chandlery", help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for command in (push, sample, parameters, grant, revoke, grants, usage, invoice):
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


if __name__ == "__main__":
    try:
        app(prog_name="chandlery")
    except Refused as refused:
        raise SystemExit(f"error: {refused.message}") from None
    except (RetryLater, OSError) as error:
        raise SystemExit(f"error: {error}") from None
