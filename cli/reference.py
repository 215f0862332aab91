"""docs/reference/cli.md, from the commands themselves. `python -m cli.reference` writes it; a test compares."""

from pathlib import Path

import typer.main
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from cli.__main__ import app

FILE = Path(__file__).parents[1] / "docs/reference/cli.md"
HEADER = "<!-- Generated: python -m cli.reference -->\n\n"


def reference() -> str:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)  # noqa: S101 as it is built above
    context = typer.Context(command, info_name="chandlery")
    lines = get_docs_for_click(obj=command, ctx=context, name="chandlery").splitlines()
    return HEADER + "\n".join(line.rstrip() for line in lines).strip() + "\n"


if __name__ == "__main__":
    FILE.write_text(reference())
