"""Many changes in a short time are one: told after a moment of quiet, or at the latest after a while."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass
class Touched:
    first: float
    last: float
    version: int


class Debounce:
    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        tell: Callable[[str, int], Awaitable[None]],
        *,
        quiet: float,
        at_latest: float,
    ) -> None:
        """`tell` gets the key and the highest version it was touched with; for one key it never runs twice at once."""
        self._tasks = tasks
        self._tell = tell
        self._quiet = quiet
        self._at_latest = at_latest
        self._touched: dict[str, Touched] = {}
        self._busy: set[str] = set()

    def touch(self, key: str, version: int) -> None:
        now = asyncio.get_running_loop().time()
        if touched := self._touched.get(key):
            touched.last, touched.version = now, max(touched.version, version)
            return
        self._touched[key] = Touched(now, now, version)
        if key not in self._busy:
            self._busy.add(key)
            self._tasks.create_task(self._settle(key))

    async def _settle(self, key: str) -> None:
        while touched := self._touched.get(key):
            due = min(touched.last + self._quiet, touched.first + self._at_latest)
            wait = due - asyncio.get_running_loop().time()
            if wait > 0:
                await asyncio.sleep(wait)
            else:
                del self._touched[key]
                await self._tell(key, touched.version)
        self._busy.discard(key)
