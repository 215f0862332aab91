"""Helm in processes that are started once: each works on one release at a time (knative/local/go/helm/engine).

Half of what a run of the helm program costs is its start. What is wrong with a chart (templates that never end, memory
without measure) costs the process that works on it, and nobody else.
"""

import asyncio
import contextlib
import json
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.errors import Refused

Review = Callable[[str], Awaitable[str]]
"""What Helm rendered in, what it is to install out; raises Refused."""

PROGRAM = "chandlery-helm"
LIMIT = 8 * 1024 * 1024
"""Of what is rendered, in bytes."""
LINE_LIMIT = 4 * LIMIT  # as JSON, with what the release says of itself
KEPT = (os.cpu_count() or 2) + 1
USES = 200
LARGEST = 256 * 1024 * 1024
TAIL = 50


class EngineFailed(Exception):
    """Helm did not do it; the message is what it said, or its last words."""


class Engine:
    def __init__(
        self,
        process: asyncio.subprocess.Process,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        stderr: asyncio.StreamReader,
    ) -> None:
        self._process, self._in, self._out, self._err = process, stdin, stdout, stderr
        self._words: deque[bytes] = deque(maxlen=TAIL)
        self._listening = asyncio.create_task(self._listen())
        self._uses = 0
        self._idle = True

    @classmethod
    async def start(cls, command: tuple[str, ...], environment: Mapping[str, str]) -> "Engine":
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, env=dict(environment), stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT
        )
        if not (process.stdin and process.stdout and process.stderr):
            raise AssertionError("all three are pipes")
        return cls(process, process.stdin, process.stdout, process.stderr)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def fit(self) -> bool:
        """For another release: it has answered, lives, and did not grow too large."""
        alive = self._process.returncode is None
        return self._idle and alive and self._uses < USES and resident(self.pid) < LARGEST

    async def ask(self, request: Mapping[str, Any], review: Review) -> dict[str, Any]:
        """What Helm says of the revision it made; raises EngineFailed, or what `review` raised."""
        self._idle, self._uses, seen = False, self._uses + 1, False
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
        await self._listening

    async def _write(self, said: Mapping[str, Any]) -> None:
        self._in.write(json.dumps(said).encode() + b"\n")
        with contextlib.suppress(ConnectionError):  # it is gone, and why is known when it is listened to
            await self._in.drain()

    async def _read(self) -> dict[str, Any]:
        try:
            line = await self._out.readline()
        except ValueError:
            raise too_large() from None
        if not line:
            await self._listening
            raise EngineFailed(b"".join(self._words).decode(errors="replace"))
        said: dict[str, Any] = json.loads(line)
        return said

    async def _listen(self) -> None:
        while words := await self._err.read(1 << 16):
            self._words.append(words)


class Engines:
    """Those of this process; as many work as are asked for at once, and a few wait for more."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._command, self._environment = command, environment
        self._waiting: list[Engine] = []

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Engine]:
        engine = await self._taken()
        try:
            yield engine
        finally:
            if engine.fit and len(self._waiting) < KEPT:
                self._waiting.append(engine)
            else:
                await engine.kill()

    async def close(self) -> None:
        for engine in self._waiting:
            await engine.kill()
        self._waiting.clear()

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
