"""What a process opens once: clients, made when first asked for in the running event loop, closed at its end."""

import asyncio
from typing import Any, Protocol, Self, TypeVar


class Opened(Protocol):
    @classmethod
    async def open(cls) -> Self: ...

    async def close(self) -> None: ...


Client = TypeVar("Client", bound=Opened)

_opening: dict[type[Any], asyncio.Task[Any]] = {}


async def opened(kind: type[Client]) -> Client:
    """The process' one client of this kind. A failed opening is tried again by whoever asks next."""
    task = _opening.get(kind)
    if task is None or (task.done() and task.exception()):
        task = _opening[kind] = asyncio.create_task(kind.open())
    client: Client = await asyncio.shield(task)
    return client


async def close_all() -> None:
    while _opening:
        _, task = _opening.popitem()
        if task.done() and not task.exception():
            await task.result().close()
