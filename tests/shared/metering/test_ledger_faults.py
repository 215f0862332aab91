"""Killed, cut off, restarted: nothing is lost, nothing counted twice."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from events.readings import CPU, MEMORY
from shared.errors import RetryLater
from shared.metering.ledger import Ledger
from tests.shared.metering.builders import T0, at, reading, subject
from tests.shared.metering.databases import Postgres
from tests.shared.metering.recorder import EACH

KILLS = 6


@pytest.fixture
def mortal(postgres: Postgres) -> Iterator[Postgres]:
    """A PostgreSQL of its own, that writes through to the disk."""
    with TemporaryDirectory(prefix="pg", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Postgres(postgres.programs, Path(folder) / "s")
        server.make()
        server.start()
        yield server
        server.stop()


async def totals(ledger: Ledger, second: int) -> dict[str, tuple[int, int]]:
    await ledger.materialise(at(second + 2 * 86400))
    used = await ledger.usage(T0, at((second // 86400 + 1) * 86400))
    return {each.metric: (each.amount, each.gap_ms) for each in used}


def truth(second: int) -> dict[str, tuple[int, int]]:
    return {CPU: (second * 1000, 0), MEMORY: (second * 1000 * 10**9, 0)}


async def recorded_until_killed(url: str, first: int, lines: int) -> int:
    """The last second that it said it had recorded, or the one before the first."""
    command = [sys.executable, "-m", "tests.shared.metering.recorder", url, str(first)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    said = b""
    for _ in range(lines):
        said = await asyncio.wait_for(process.stdout.readline(), 60) or said
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    return int((said + rest).split()[-1]) if (said + rest).split() else first - EACH


async def test_a_recorder_that_is_killed_at_any_time_loses_and_doubles_nothing(url: str) -> None:
    """Whoever takes over begins a few readings before: what it can't know to be recorded, it sends again."""
    second = 0
    for kill in range(KILLS):
        second = await recorded_until_killed(url, max(0, second - 3 * EACH), 3 + 5 * kill)
    ledger = await Ledger.open(url)
    await ledger.record([reading(second, second * 1000), reading(second, 10**9, MEMORY)], [], at(second))
    found = await totals(ledger, second)
    await ledger.close()
    latest = found[CPU][0] // 1000  # the last batch may have been recorded and not been said
    assert latest - second in (0, EACH)
    assert found == truth(latest)


async def test_a_database_that_is_killed_again_and_again_loses_and_doubles_nothing(mortal: Postgres) -> None:
    ledger = await Ledger.open(mortal.database())
    stopped = asyncio.Event()

    async def kill() -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(mortal.stop, signal.SIGKILL)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(mortal.start)
        stopped.set()

    killing, second, refused = asyncio.create_task(kill()), 0, 0
    while not stopped.is_set() or second < 200 * EACH:
        try:
            await ledger.record(
                [reading(second, second * 1000), reading(second, 10**9, MEMORY)],
                [subject(second, started_at=T0)],
                at(second),
            )
            await ledger.materialise(at(second))
        except RetryLater:
            refused += 1
            await asyncio.sleep(0.01)
        else:
            second += EACH
    await killing
    found = await totals(ledger, second)
    await ledger.close()
    assert (found, refused > 0) == (truth(second - EACH), True)


async def test_a_database_that_is_away_is_no_news_but_retry_later(mortal: Postgres) -> None:
    url = mortal.database()
    ledger = await Ledger.open(url)
    mortal.stop(signal.SIGINT)
    with pytest.raises(RetryLater):
        await ledger.record([reading(0, 1)], [], at(0))
    with pytest.raises(RetryLater):
        await Ledger.open(url)
    mortal.start()
    assert (await ledger.record([reading(0, 1)], [], at(0))).added == 1
    await ledger.close()
