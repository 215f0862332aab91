"""The shell around every function: what it answers, and what it leaves behind, over real HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import uvicorn
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent
from starlette.applications import Starlette
from starlette.routing import Route

from events.instances import InstanceAdmitted, InstanceRequested
from shared.errors import RetryLater
from shared.function import AT_ONCE, function
from tests.builders import KEY

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Work:
    """How many are worked on, now and at most."""

    running = 0
    most = 0


async def decide(event: InstanceRequested) -> InstanceAdmitted | None:
    """Does what the instance's generation says."""
    match event.generation:
        case 1:
            return InstanceAdmitted(instance=event.instance, generation=1)
        case 2:
            return None
        case 3:
            raise RetryLater("Helm is busy", after=1.2)
        case 4:
            raise KeyError("a bug")
    Work.running += 1
    Work.most = max(Work.most, Work.running)
    await asyncio.sleep(0.05)
    Work.running -= 1
    return None


def requested(generation: int, **attributes: str) -> CloudEvent:
    event = InstanceRequested(instance=KEY, generation=generation)
    named = {"type": event.type, "source": "/test", "id": "cause", "subject": event.subject, **attributes}
    return CloudEvent(named, event.model_dump(mode="json"))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = Starlette(routes=[Route("/{path:path}", function(decide), methods=["GET", "POST"])])
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await serving


async def post(url: str, headers: dict[str, Any], body: Any) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, data=body) as response:
        return response.status, dict(response.headers), await response.read()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("encode", [to_binary, to_structured])
async def test_a_fact_is_answered_as_a_cloudevent_in_the_same_trace(url: str, encode: Any) -> None:
    status, headers, body = await post(url, *encode(requested(1, traceparent=TRACE)))
    assert status == 200
    assert headers["ce-type"] == InstanceAdmitted.type
    assert headers["ce-source"] == "/chandlery/decide"
    assert headers["ce-traceparent"] == TRACE
    assert json.loads(body)["generation"] == 1


async def test_the_same_event_is_answered_with_the_same_id(url: str) -> None:
    ids = {(await post(url, *to_binary(requested(1))))[1]["ce-id"] for _ in range(2)}
    assert len(ids) == 1


async def test_nothing_to_tell_is_an_empty_answer(url: str) -> None:
    status, headers, body = await post(url, *to_binary(requested(2)))
    assert (status, body) == (204, b"")
    assert "ce-id" not in headers


async def test_not_now_says_when(url: str) -> None:
    status, headers, _ = await post(url, *to_binary(requested(3)))
    assert (status, headers["Retry-After"]) == (503, "2")


async def test_a_bug_is_tried_again(url: str) -> None:
    assert (await post(url, *to_binary(requested(4))))[0] == 500


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({"Content-Type": "text/plain"}, b"nonsense", "decide: "),
        ({"Content-Type": "application/cloudevents+json"}, b"{", "decide: "),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": "other"}, b"{}", "takes dev.chandlery"),
        (
            {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": InstanceRequested.type},
            b"{}",
            "instance",
        ),
        (
            {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/x", "ce-type": InstanceRequested.type},
            b"[",
            "decide: ",
        ),
    ],
    ids=["no event", "broken JSON", "another type", "data that lacks its fields", "data that is no JSON"],
)
async def test_what_is_no_event_of_ours_is_refused_for_good(
    url: str, headers: dict[str, str], body: bytes, words: str
) -> None:
    status, _, answer = await post(url, {"Content-Type": "application/json", **headers}, body)
    assert status == 400
    assert words in answer.decode()


async def test_it_says_how_it_is_and_what_it_did(url: str) -> None:
    await post(url, *to_binary(requested(2)))
    assert await get(f"{url}/healthz") == (200, "ok\n")
    status, text = await get(f"{url}/metrics")
    assert status == 200
    assert 'chandlery_events_total{function="decide",outcome="done"}' in text
    assert 'chandlery_event_duration_seconds_count{function="decide"}' in text


async def test_of_many_events_a_few_are_worked_on_at_a_time(url: str) -> None:
    Work.most = 0
    await asyncio.gather(*[post(url, *to_binary(requested(9))) for _ in range(3 * AT_ONCE)])
    assert Work.most == AT_ONCE


@pytest.fixture
def in_a_small_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_AT_ONCE", "1")
    monkeypatch.setattr(Work, "most", 0)


async def test_a_pod_with_little_memory_works_on_fewer(in_a_small_pod: None, url: str) -> None:
    await asyncio.gather(*[post(url, *to_binary(requested(9))) for _ in range(3)])
    assert Work.most == 1
