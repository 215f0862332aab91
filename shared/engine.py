"""Helm in processes that are started once: each works on one release at a time (knative/local/go/helm/engine).

Half of what a run of the helm program costs is its start. What is wrong with a chart (templates that never end, memory
without measure) costs the process that works on it, and nobody else.

What Helm writes to standard error is read by nobody: it may be of another release than the one at hand, with what its
consumer keeps secret. What is wrong stands in the answer.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.cluster import yaml_of
from shared.errors import Refused

Review = Callable[[str], Awaitable[str]]
"""What Helm rendered in, what it is to install out; raises Refused."""

PROGRAM = "chandlery-helm"
LIMIT = 8 * 1024 * 1024
"""Of what is rendered, in characters."""
LINE_LIMIT = 4 * LIMIT  # as JSON, with what the release says of itself
KEPT = (os.cpu_count() or 2) + 1
USES = 200
LARGEST = 256 * 1024 * 1024
IDLE_SECONDS = 60.0
"""A start costs less than the memory of those that nobody needs."""


class EngineFailed(Exception):
    """Helm did not do it; the message is what it said."""


class Engine:
    def __init__(
        self, process: asyncio.subprocess.Process, stdin: asyncio.StreamWriter, stdout: asyncio.StreamReader
    ) -> None:
        self._process, self._in, self._out = process, stdin, stdout
        self.uses = 0
        self._idle = True

    @classmethod
    async def start(cls, command: tuple[str, ...], environment: Mapping[str, str]) -> "Engine":
        pipe, nobody = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(environment), stdin=pipe, stdout=pipe, stderr=nobody, limit=LINE_LIMIT
        )
        if not (process.stdin and process.stdout):
            raise AssertionError("both are pipes")
        return cls(process, process.stdin, process.stdout)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def fit(self) -> bool:
        """For another release: it has answered, lives, and did not grow too large."""
        alive = self._process.returncode is None
        return self._idle and alive and self.uses < USES and resident(self.pid) < LARGEST

    async def ask(self, request: dict[str, Any], review: Review) -> dict[str, Any]:
        """What Helm says of the revision it made; raises EngineFailed, or what `review` raised."""
        self._idle, self.uses, seen = False, self.uses + 1, False
        await self._write(request)
        refusal: Exception | None = None
        while "rendered" in (said := await self._read()):
            seen = True
            try:
                await self._write({"manifest": await reviewed(review, said["rendered"])})
            except Exception as error:  # it is raised when Helm has taken note
                refusal = error
                await self._write({})
        self._idle = True
        if refusal:
            raise refusal
        if "done" not in said:
            raise EngineFailed(said["error"])
        if not seen:
            raise AssertionError("Helm installs what passed the review, or nothing")
        found: dict[str, Any] = said["done"]
        return found

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _write(self, said: dict[str, Any]) -> None:
        self._in.write(yaml_of(said).encode() + b"\n")  # Helm reads values as YAML
        with contextlib.suppress(ConnectionError):  # it is gone, and why is known when it is listened to
            await self._in.drain()

    async def _read(self) -> dict[str, Any]:
        try:
            line = await self._out.readline()
        except ValueError:
            raise too_large() from None
        if not line:
            raise EngineFailed(f"Helm ended in the midst of it, {await self._process.wait()}: was it short of memory?")
        said: dict[str, Any] = json.loads(line)
        return said


class Engines:
    """Those of this process; as many work as are asked for at once, and a few wait a while for more."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._command, self._environment = command, environment
        self._waiting: list[Engine] = []
        self._ending: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Engine]:
        engine = await self._taken()
        try:
            yield engine
        finally:
            if engine.fit and len(self._waiting) < KEPT:
                self._waiting.append(engine)
                asyncio.get_running_loop().call_later(IDLE_SECONDS, self._let_go, engine, engine.uses)
            else:
                await engine.kill()

    async def close(self) -> None:
        while self._waiting:
            await self._waiting.pop().kill()
        await asyncio.gather(*self._ending)

    def _let_go(self, engine: Engine, uses: int) -> None:
        if engine in self._waiting and engine.uses == uses:
            self._waiting.remove(engine)
            ending = asyncio.create_task(engine.kill())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _taken(self) -> Engine:
        while self._waiting:
            engine = self._waiting.pop()
            if engine.fit:
                return engine
            await engine.kill()
        return await Engine.start(self._command, self._environment)


async def reviewed(review: Review, rendered: str) -> str:
    if len(rendered) > LIMIT:
        raise too_large()
    return await review(rendered)


def too_large() -> Refused:
    fix = "switch off by spec.values what makes it so"
    return Refused("TooLarge", f"the templates print more than {LIMIT // 1024**2} MiB; {fix}")


def resident(pid: int) -> int:
    """Bytes of memory; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
