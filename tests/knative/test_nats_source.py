"""The NATS source between a real NATS and a sink, both of which come and go."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import nats
import pytest
import yaml
from aiohttp import web
from nats.aio.client import Client

from events.requests import InstanceOrdered
from knative.nats_source import NatsSource
from knative.sink import Sink
from shared.nats_client import Unfit
from shared.streams import DEAD, FILE, IN, Streams, declared, ensure
from tests.ports import free_port
from tests.shared.servers import Nats


class Counted:
    """A sink: what it took, how many it was asked at once, and in which order of an instance."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.posts = 0
        self.most = 0
        self.url = ""
        self.answer: Callable[[int], int] = lambda _: 204
        self.pause = 0.0
        self._now = 0

    async def take(self, request: web.Request) -> web.Response:
        event = InstanceOrdered.model_validate(await request.json())
        self.posts += 1
        self._now += 1
        self.most = max(self.most, self._now)
        status = self.answer(self.posts)
        await asyncio.sleep(self.pause)
        self._now -= 1
        if status == 204:
            self.taken.append((event.name, event.spec["n"]))
        return web.Response(status=status)


@pytest.fixture
async def sink() -> AsyncIterator[Counted]:
    found, app = Counted(), web.Application()
    app.router.add_post("/", found.take)
    runner = web.AppRunner(app, handler_cancellation=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield found
    await runner.cleanup()


@pytest.fixture
def server(tools: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nats]:
    found = Nats(tools["nats-server"], tmp_path / "nats")
    found.start()
    monkeypatch.setenv("NATS_URL", found.url)
    yield found
    found.stop()


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """The streams as declared, with a consumer that is soon given its messages again."""
    streams = yaml.safe_load(yaml.safe_load(FILE.read_text())["data"]["streams.yaml"])
    streams["streams"][0]["consumers"][0]["ackSeconds"] = 2
    path = tmp_path / "streams.yaml"
    path.write_text(yaml.safe_dump(streams))
    return path


@contextlib.asynccontextmanager
async def at_work(sink: Counted, streams: Streams, **options: Any) -> AsyncIterator[NatsSource]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        source = NatsSource(Sink(sink.url, session, {}), streams, **options)
        task = asyncio.create_task(source.run())
        try:
            yield source
        finally:
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()


async def until(holds: Callable[[], Any], what: str, limit: float = 30) -> None:
    try:
        async with asyncio.timeout(limit):
            while not holds():  # noqa: ASYNC110 - it looks at what others do
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {limit} s: {what}") from None


@contextlib.asynccontextmanager
async def outsider(server: Nats) -> AsyncIterator[Client]:
    client = await nats.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    stream = client.jetstream()
    for name in (IN, DEAD):
        await ensure(stream, declared().stream(name))
    yield client
    await client.close()


async def publish(client: Client, number: int, name: str = "a", **headers: str) -> None:
    data = {"offering": "x", "namespace": "team", "name": name, "spec": {"n": number}}
    envelope = {"specversion": "1.0", "id": str(number), "source": "/s", "type": InstanceOrdered.type, "data": data}
    body = json.dumps(envelope).encode()
    await client.jetstream().publish("chandlery.in.team.x", body, headers=headers or None)


async def left(client: Client, stream: str = IN) -> int:
    return int((await client.jetstream().stream_info(stream)).state.messages)


async def test_what_the_sink_took_is_acknowledged_and_forgotten(server: Nats, sink: Counted) -> None:
    async with outsider(server) as client, at_work(sink, declared()) as source:
        await publish(client, 1)
        await until(lambda: sink.taken == [("a", 1)], "it is taken")
        assert source.unready is None
        await until_empty(client)


async def until_empty(client: Client) -> None:
    async with asyncio.timeout(30):
        while await left(client):  # noqa: ASYNC110 - NATS tells nobody
            await asyncio.sleep(0.05)


async def test_the_same_message_is_kept_once_by_its_source_and_id(server: Nats, sink: Counted) -> None:
    async with outsider(server) as client:
        for _ in range(3):
            await publish(client, 1, **{"Nats-Msg-Id": "/s 1"})
        assert await left(client) == 1


async def test_nonsense_is_buried_as_it_came_with_the_reason_and_harms_nobody(server: Nats, sink: Counted) -> None:
    async with outsider(server) as client, at_work(sink, declared()):
        stream = client.jetstream()
        await stream.publish("chandlery.in.team.x", b"\x00 nonsense", headers={"Mine": "stays"})
        await stream.publish("chandlery.in.team.x", b"x" * 300_000)
        await publish(client, 1)
        await until(lambda: sink.taken == [("a", 1)], "the other is taken")
        await until_empty(client)
        found = [await stream.get_msg(DEAD, each) for each in (1, 2)]
        assert {each.subject for each in found} == {"chandlery.dead.in"}
        by_reason = {(each.headers or {})["Chandlery-Reason"]: each for each in found}
        assert {reason: each.data for reason, each in by_reason.items()} == {
            "NoCloudEvent": b"\x00 nonsense",
            "TooLarge": b"x" * 300_000,
        }
        assert (by_reason["NoCloudEvent"].headers or {})["Mine"] == "stays"
        assert (by_reason["NoCloudEvent"].headers or {})["Chandlery-Subject"] == "chandlery.in.team.x"


async def test_a_sink_that_is_away_gets_everything_when_it_is_back_and_in_order(server: Nats, sink: Counted) -> None:
    sink.answer = lambda post: 503 if post <= 8 else 204
    async with outsider(server) as client, at_work(sink, declared()):
        for number in range(20):
            await publish(client, number, name="ab"[number % 2])
        await until(lambda: len(sink.taken) >= 20, "all are taken", 60)
        for name, first in (("a", 0), ("b", 1)):
            assert [number for each, number in sink.taken if each == name] == list(range(first, 20, 2))
        await until_empty(client)


async def test_what_waited_too_long_here_waits_on_in_nats(server: Nats, sink: Counted) -> None:
    sink.answer = lambda post: 503 if post <= 3 else 204
    async with outsider(server) as client, at_work(sink, declared(), hold=0.1):
        await publish(client, 1)
        await until(lambda: sink.taken == [("a", 1)], "it is taken")


async def test_what_the_sink_refuses_is_buried(server: Nats, sink: Counted) -> None:
    sink.answer = lambda _: 400
    async with outsider(server) as client, at_work(sink, declared()):
        await publish(client, 1)
        await until_empty(client)
        assert await left(client, DEAD) == 1


async def test_a_burst_is_taken_whole_and_never_too_many_at_once(server: Nats, sink: Counted) -> None:
    sink.pause = 0.005
    async with outsider(server) as client, at_work(sink, declared(), at_once=16):
        await asyncio.gather(*[publish(client, number, name=f"i{number}") for number in range(500)])
        await until(lambda: len({*sink.taken}) == 500, "all 500 are taken", 60)
        assert sink.most <= 16
        await until_empty(client)


async def test_nats_is_killed_in_the_middle_and_nothing_is_lost(server: Nats, sink: Counted) -> None:
    sink.pause = 0.05
    async with outsider(server) as client:
        for number in range(200):
            await publish(client, number, name=f"i{number}")
        async with at_work(sink, declared()) as source:
            await until(lambda: len(sink.taken) > 20, "some are taken")
            server.stop()
            await until(lambda: source.unready, "it says that NATS is away")
            server.start()
            await until(lambda: len({*sink.taken}) == 200, "all are taken", 90)
            await until(lambda: source.unready is None, "it is well")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
async def test_a_source_that_dies_between_post_and_acknowledgement_says_it_again_never_not_at_all(
    how: signal.Signals, server: Nats, sink: Counted, quick: Path
) -> None:
    port = free_port()
    environment = {**os.environ, "K_SINK": sink.url, "NATS_URL": server.url, "CHANDLERY_STREAMS": str(quick)}
    command = [sys.executable, "-m", "knative.nats_source", f"--port={port}"]
    sink.pause = 1.0
    async with outsider(server) as client:
        await publish(client, 1)
        first = await asyncio.create_subprocess_exec(*command, env=environment)
        await until(lambda: sink.posts == 1, "the first posts")
        first.send_signal(how)
        async with asyncio.timeout(20):
            await first.wait()
        sink.pause = 0
        second = await asyncio.create_subprocess_exec(*command, env=environment)
        try:
            await until(lambda: sink.posts == 2, "the second posts it again")
            await until_empty(client)
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
                    assert response.status == 200
                async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                    assert "chandlery_nats_source_in_flight 0.0" in await response.text()
        finally:
            second.terminate()
            await second.wait()


async def test_two_sources_share_the_work(server: Nats, sink: Counted) -> None:
    async with outsider(server) as client, at_work(sink, declared()), at_work(sink, declared()):
        for number in range(50):
            await publish(client, number, name=f"i{number}")
        await until(lambda: len(sink.taken) == 50, "all are taken")
        await until_empty(client)
        assert len(sink.taken) == 50


async def test_streams_are_brought_up_to_date_and_what_nats_refuses_is_said(server: Nats) -> None:
    async with outsider(server) as client:
        stream, wanted = client.jetstream(), declared().stream(IN)
        (before,) = [await stream.stream_info(IN)]
        await ensure(stream, wanted)
        assert (await stream.stream_info(IN)).config == before.config
        await ensure(stream, wanted.model_copy(update={"max_bytes": 1_000_000, "dedupe_seconds": 60}))
        config = (await stream.stream_info(IN)).config
        assert (config.max_bytes, config.duplicate_window) == (1_000_000, 60)
        (durable,) = wanted.consumers
        await ensure(stream, wanted.model_copy(update={"consumers": (durable.model_copy(update={"ack_seconds": 9}),)}))
        assert (await stream.consumer_info(IN, "nats-source")).config.ack_wait == 9
        with pytest.raises(Unfit, match=r"stream chandlery-in: NATS refuses to set .*retention.*: .*; undo that"):
            await ensure(stream, wanted.model_copy(update={"retention": "limits"}))


async def test_streams_that_are_declared_otherwise_keep_their_messages(server: Nats) -> None:
    """As an upgrade does."""
    async with outsider(server) as client:
        stream = client.jetstream()
        wanted = declared().stream(DEAD)
        for number in range(20):
            await stream.publish("chandlery.dead.test", str(number).encode())
        subjects = (*wanted.subjects, "chandlery.more.>")
        await ensure(stream, wanted.model_copy(update={"max_age_seconds": 86400, "subjects": subjects}))
        found = await stream.stream_info(DEAD)
        assert (found.state.messages, found.config.max_age, found.config.subjects) == (20, 86400, [*subjects])


async def test_a_source_that_nats_will_not_serve_says_why(server: Nats, sink: Counted) -> None:
    async with outsider(server) as client:
        stream = client.jetstream()
        await stream.delete_stream(IN)
        await stream.add_stream(name=IN, subjects=["chandlery.in.>"])
        async with at_work(sink, declared()) as source:
            await until(lambda: "retention" in (source.unready or ""), "it says what NATS refuses")
            await stream.delete_stream(IN)
            await until(lambda: source.unready is None, "it is well")


async def test_a_stream_that_is_deleted_under_it_is_made_again(server: Nats, sink: Counted) -> None:
    async with outsider(server) as client, at_work(sink, declared()) as source:
        await until(lambda: source.unready is None, "it is well")
        await client.jetstream().delete_stream(IN)

        async def said() -> bool:
            with contextlib.suppress(nats.js.errors.NotFoundError, nats.js.errors.NoStreamResponseError):
                await publish(client, 1)
                return True
            return False

        async with asyncio.timeout(30):
            while not await said():  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.1)
        await until(lambda: sink.taken == [("a", 1)], "it is taken")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "can't be read"),
        ("streams: []", "no stream chandlery-in"),
        ("streams: [{name: x, subjects: [x], retention: ages}]", "streams.0.retention"),
        ("streams: [{name: x, subjects: [x], colour: red}]", "streams.0.colour"),
    ],
)
def test_a_declaration_that_says_nothing_is_refused_with_the_field(content: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "streams.yaml"
    path.write_text(content)
    with pytest.raises(Unfit, match=says):
        declared(path).stream(IN)
