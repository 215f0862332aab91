"""What Helm is about to install, looked at before it does: a post-renderer plugin, and the server that it asks.

Helm 4 gives hooks to a post-renderer too, and calls it before it stores anything: what is refused leaves no trace.
"""

import asyncio
import contextlib
import json
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared import postrender_plugin
from shared.errors import Refused

Review = Callable[[str], Awaitable[str]]
"""What Helm rendered in, what it is to install out; raises Refused."""

NAME = "chandlery-review"
LIMIT = 8 * 1024 * 1024
EMPTY = "# nothing is rendered"
"""Helm takes no answer at all for a failure."""


@dataclass
class Asked:
    """One run of Helm, and what came of its review."""

    review: Review
    environment: dict[str, str]
    done: bool = False
    error: Exception | None = None
    arguments: tuple[str, ...] = ("--post-renderer", NAME)


class PostRenderer:
    """For all Helms of this process. `plugins` is where Helm looks for them; nobody else may look into `home`."""

    def __init__(self, home: Path, plugins: Path) -> None:
        self._socket = home / "review"
        self._plugin = plugins / NAME
        self._runs: dict[str, Asked] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._plugin.mkdir(parents=True)
        (self._plugin / "plugin.yaml").write_text(json.dumps(manifest()))
        self._server = await asyncio.start_unix_server(self._answer, self._socket)
        self._socket.chmod(0o600)

    async def close(self) -> None:
        if self._server:
            self._server.close()
        shutil.rmtree(self._plugin, ignore_errors=True)

    @asynccontextmanager
    async def asked(self, review: Review) -> AsyncIterator[Asked]:
        run = secrets.token_hex(16)
        environment = {postrender_plugin.PATH: str(self._socket), postrender_plugin.RUN: run}
        self._runs[run] = Asked(review, environment)
        try:
            yield self._runs[run]
        finally:
            del self._runs[run]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = self._runs.get((await reader.readline()).decode(errors="replace").strip())
            if asked:
                answer = await answered(asked, reader)
                writer.write(postrender_plugin.NO if answer is None else postrender_plugin.YES + answer.encode())
                await writer.drain()
        except (OSError, ValueError):
            pass  # Helm was stopped, or it is none of ours
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def answered(asked: Asked, reader: asyncio.StreamReader) -> str | None:
    """None when it said no, whyever: `error` goes to whoever started Helm."""
    try:
        answer = await asked.review(await read(reader))
    except Exception as error:  # it is raised where Helm was started
        asked.error = error
        return None
    asked.done = True
    return answer if answer.strip() else EMPTY


async def read(reader: asyncio.StreamReader) -> str:
    found = bytearray()
    while part := await reader.read(1 << 16):
        found += part
        if len(found) > LIMIT:
            fix = "switch off by spec.values what makes it so"
            raise Refused("TooLarge", f"the templates print more than {LIMIT // 1024**2} MiB; {fix}")
    return found.decode(errors="replace")


def manifest() -> dict[str, object]:
    command = {"command": sys.executable, "args": ["-I", "-S", postrender_plugin.__file__]}
    return {
        "apiVersion": "v1",
        "type": "postrenderer/v1",
        "name": NAME,
        "version": "1.0.0",
        "runtime": "subprocess",
        "runtimeConfig": {"platformCommand": [command]},
    }
