"""Free ports for servers that tests start."""

import random
import socket

RANGE = 100


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_range() -> int:
    """The first of a hundred ports nobody listens on, below the range the system hands out by itself."""
    for _ in range(100):
        base = random.randrange(20000, 32000, RANGE)  # noqa: S311 - not a secret
        if all(_free(port) for port in range(base, base + RANGE)):
            return base
    raise RuntimeError("no hundred free ports in a row between 20000 and 32000")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
