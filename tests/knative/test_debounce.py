"""Many changes are one, the last of them is always told, and a slow listener is never told twice at once."""

import asyncio

from knative.debounce import Debounce


async def test_changes_in_a_row_are_told_once_with_the_highest_version() -> None:
    told: list[tuple[str, int]] = []
    done = asyncio.Event()

    async def tell(key: str, version: int) -> None:
        told.append((key, version))
        if len(told) == 2:
            done.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        debounce = Debounce(tasks, tell, quiet=0.01, at_latest=1)
        for version in (3, 5, 4):
            debounce.touch("a", version)
        debounce.touch("b", 1)
        await done.wait()
    assert sorted(told) == [("a", 5), ("b", 1)]


async def test_changes_without_end_are_told_all_the_same() -> None:
    told = asyncio.Event()

    async def tell(key: str, version: int) -> None:
        told.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        debounce = Debounce(tasks, tell, quiet=3600, at_latest=0.05)
        version = 0
        while not told.is_set():
            debounce.touch("a", version := version + 1)
            await asyncio.sleep(0.001)
        ends = [task for task in asyncio.all_tasks() if "_settle" in str(task.get_coro())]
        for task in ends:  # it waits for an hour of quiet
            task.cancel()


async def test_what_changes_while_it_is_being_told_is_told_afterwards() -> None:
    told: list[int] = []
    began, go_on = asyncio.Event(), asyncio.Event()

    async def tell(key: str, version: int) -> None:
        told.append(version)
        began.set()
        await go_on.wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        debounce = Debounce(tasks, tell, quiet=0, at_latest=0)
        debounce.touch("a", 1)
        await began.wait()
        debounce.touch("a", 2)
        debounce.touch("a", 3)
        await asyncio.sleep(0.01)
        assert told == [1]
        go_on.set()
    assert told == [1, 3]
