"""Nothing is lost, nothing is said twice at once, and of two things to say about one object the newer is said."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from cloudevents.http import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from events.instances import InstanceRequested, InstanceWithdrawn
from knative.outbox import Answer, Outbox
from knative.said import Said
from knative.sink import meaning
from shared.backoff import delays
from tests.builders import KEY


def requested(uid: str, generation: int = 1) -> Said:
    key = KEY.model_copy(update={"uid": uid})
    return Said(InstanceRequested(instance=key, generation=generation), (uid, generation))


def withdrawn(uid: str) -> Said:
    return Said(InstanceWithdrawn(instance=KEY.model_copy(update={"uid": uid})), (uid, "gone"))


class Gate:
    """A sink that answers when it is told to, and checks that no two posts about one object overlap."""

    def __init__(self, *answers: Answer) -> None:
        self.posted: list[str] = []
        self.open = asyncio.Event()
        self.news = asyncio.Condition()
        self._answers = list(answers)
        self._busy: set[str] = set()

    async def post(self, event: CloudEvent) -> Answer:
        uid = event.data["instance"]["uid"]
        assert uid not in self._busy
        self._busy.add(uid)
        async with self.news:
            self.posted.append(event["id"])
            self.news.notify_all()
        await self.open.wait()
        self._busy.discard(uid)
        return self._answers.pop(0) if self._answers else "taken"

    async def until(self, said: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self.news:
            await self.news.wait_for(said)


async def settled(*tasks: Awaitable[object]) -> None:
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)


async def test_what_waits_is_replaced_by_what_is_newer() -> None:
    gate = Gate()
    async with Outbox(gate.post, "/test") as outbox:
        await outbox.put(requested("a", 1))
        await gate.until(lambda: len(gate.posted) == 1)
        for news in (requested("a", 2), requested("a", 3), withdrawn("a")):
            await outbox.put(news)
        gate.open.set()
        await gate.until(lambda: len(gate.posted) == 2)
    assert gate.posted == [requested("a", 1).id, withdrawn("a").id]


async def test_what_is_not_taken_is_sent_again_and_what_is_refused_is_not() -> None:
    gate = Gate("later", "later", "taken", "refused")
    gate.open.set()
    async with Outbox(gate.post, "/test") as outbox:
        await outbox.put(requested("a"))
        await gate.until(lambda: len(gate.posted) == 3)
        await outbox.put(requested("b"))
        await gate.until(lambda: len(gate.posted) == 4)
        await outbox.put(requested("c"))
        await gate.until(lambda: len(gate.posted) == 5)
    assert gate.posted == [requested("a").id] * 3 + [requested("b").id, requested("c").id]


async def test_a_newer_event_takes_the_place_of_one_that_is_tried_again() -> None:
    gate = Gate("later")
    gate.open.set()
    async with Outbox(gate.post, "/test") as outbox:
        await outbox.put(requested("a", 1))
        await gate.until(lambda: len(gate.posted) == 1)
        await outbox.put(requested("a", 2))
        await gate.until(lambda: len(gate.posted) == 2)
    assert gate.posted == [requested("a", 1).id, requested("a", 2).id]


async def test_a_full_outbox_makes_its_writers_wait() -> None:
    gate = Gate()
    async with Outbox(gate.post, "/test", limit=2) as outbox:
        await outbox.put(requested("a"))
        await outbox.put(requested("b"))
        third = asyncio.create_task(outbox.put(requested("c")))
        await outbox.put(requested("b", 2))  # takes no room
        assert not third.done()
        gate.open.set()
        await settled(third)
        await gate.until(lambda: requested("c").id in gate.posted)


async def test_only_so_many_posts_are_in_flight() -> None:
    gate = Gate()
    async with Outbox(gate.post, "/test", at_once=3) as outbox:
        for number in range(10):
            await outbox.put(requested(str(number)))
        await gate.until(lambda: len(gate.posted) == 3)
        await asyncio.sleep(0)
        assert len(gate.posted) == 3
        gate.open.set()
        await gate.until(lambda: len(gate.posted) == 10)


async def test_the_end_waits_for_what_is_in_flight_and_begins_nothing() -> None:
    gate = Gate()
    outbox = await Outbox(gate.post, "/test", at_once=1).__aenter__()
    await outbox.put(requested("a"))
    await outbox.put(requested("b"))
    await gate.until(lambda: len(gate.posted) == 1)
    ending = asyncio.create_task(outbox.__aexit__())
    await asyncio.sleep(0)
    assert not ending.done()
    gate.open.set()
    await settled(ending)
    assert gate.posted == [requested("a").id]


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, "taken"), (202, "taken"), (204, "taken"), (302, "later"), (400, "refused"), (403, "refused")]
    + [(status, "later") for status in (404, 408, 409, 413, 429, 500, 502, 503)],
)
def test_an_answer_is_read_as_knative_reads_it(status: int, answer: Answer) -> None:
    assert meaning(status) == answer


@given(tries=st.integers(1, 200))
def test_pauses_grow_up_to_a_limit(tries: int) -> None:
    pauses = delays(0.2, 30)
    waited = [next(pauses) for _ in range(tries)]
    assert all(0.1 <= wait <= 30 for wait in waited)
    assert all(min(0.1 * 2**n, 15) <= wait for n, wait in enumerate(waited))
