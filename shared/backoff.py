"""How long to wait between tries: longer each time up to a limit, and never everybody at the same moment."""

import random
from collections.abc import Iterator


def delays(first: float, most: float) -> Iterator[float]:
    delay = first
    while True:
        yield delay * random.uniform(0.5, 1)  # noqa: S311 - not a secret
        delay = min(delay * 2, most)
