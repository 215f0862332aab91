"""Waiting with a limit, for a reason that is told, and with the log of whoever failed."""

import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

STEP = 0.03
TAIL = 15
PATIENCE = 10.0


class StackError(Exception):
    """The stack cannot be brought up; the message says what, why and what to do."""


def wait(what: str, check: Callable[[], bool], *, limit: float, log: Path, state: Callable[[], str]) -> None:
    """Until the check holds. A process that keeps ending as soon as it starts ends the wait early."""
    started = time.monotonic()
    while not check():
        waited = time.monotonic() - started
        if waited > limit:
            raise StackError(f"{what}: not ready after {limit:.0f} s; end of {log}:\n{tail(log)}")
        if state() == "FATAL" or (waited > PATIENCE and state() == "BACKOFF"):
            raise StackError(f"{what}: the process keeps failing; end of {log}:\n{tail(log)}")
        time.sleep(STEP)
    say(f"  {what} ({time.monotonic() - started:.1f} s)")


def tail(log: Path, lines: int = TAIL) -> str:
    if not log.exists():
        return "  (no log)"
    return "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-lines:]) or "  (empty)"


def listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def free(port: int) -> bool:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
    return not listening(port)


def answers(url: str, ca: Path) -> bool:
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))
    )
    try:
        with direct.open(url, timeout=2) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (urllib.error.URLError, OSError):
        return False


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
