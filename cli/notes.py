"""What is said beside the answer, on standard error: programs read the other one."""

import sys

from cli.output import plain


def note(text: str) -> None:
    print(f"note: {plain(text)}", file=sys.stderr)
