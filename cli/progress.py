"""How long work shows that it goes on: a line that changes on a terminal, lines that stay elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from cli.output import plain


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: print(plain(text), file=sys.stderr, flush=True)
        return
    with console.status("") as status:
        yield lambda text: status.update(plain(text).replace("[", r"\["))
