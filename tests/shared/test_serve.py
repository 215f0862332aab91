"""A function as a process: told to stop, it finishes what it has in hand, as long as it is given."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent

from knative.local.layout import REPOSITORY
from knative.local.waiting import free
from tests.knative.kinds import until
from tests.ports import free_range


@pytest.fixture
async def deaf() -> AsyncIterator[str]:
    """A NATS that takes a connection and says nothing, so that an event is in hand for five seconds."""
    listening = socket.create_server(("127.0.0.1", 0))
    yield f"nats://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


async def serving(port: int, grace: int, nats: str) -> asyncio.subprocess.Process:
    command = ["-m", "shared.serve", "keep_dead_letters", f"--port={port}", f"--grace={grace}"]
    environment = {**os.environ, "NATS_URL": nats, "PYTHONPATH": str(REPOSITORY)}
    found = await asyncio.create_subprocess_exec(sys.executable, *command, env=environment, cwd=REPOSITORY)

    async def listening() -> bool:
        return not free(port)

    await until(listening)
    return found


@pytest.mark.parametrize(("grace", "answers"), [(20, [503]), (1, [])], ids=["in time", "not in time"])
async def test_a_process_that_is_stopped_finishes_what_it_has_in_hand(
    deaf: str, grace: int, answers: list[int]
) -> None:
    port = free_range()
    process = await serving(port, grace, deaf)
    attributes = {"type": "t.v1", "source": "/test", "id": "1", "datacontenttype": "application/json"}
    headers, body = to_binary(CloudEvent(attributes, {}))
    got: list[int] = []

    async def post() -> None:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.post(f"http://127.0.0.1:{port}/", data=body, headers=headers) as answer:
                    got.append(answer.status)
            except aiohttp.ClientError:
                pass  # cut off; Knative would deliver it again

    posting = asyncio.create_task(post())
    await asyncio.sleep(1)
    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(posting, 30)
    await asyncio.wait_for(process.wait(), 30)
    assert [status for status in got if status != 500] == answers
