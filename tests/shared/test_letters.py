"""Dead letters, kept in a real NATS: what goes in comes out, and can be sent again as it was."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent, from_http

from cli.events import document, meant
from shared.brokers import reached
from shared.errors import Refused, RetryLater
from shared.letters import DeadLetters, Letter, letter, text
from tests.shared.servers import Nats

FAILED = {
    "knativeerrordest": "http://install-release.chandlery.svc.cluster.local/",
    "knativeerrorcode": "500",
    "knativeerrordata": "boom",
}


def event(**more: str) -> CloudEvent:
    attributes = {
        "type": "t.v1",
        "source": "/test",
        "id": str(uuid4()),
        "subject": "team-a/x",
        "datacontenttype": "application/json",
    }
    return CloudEvent({**attributes, **more}, {"generation": 1})


@pytest.fixture(scope="module")
def server(tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    found = Nats(tools["nats-server"], tmp_path_factory.mktemp("letters") / "nats")
    found.start()
    yield found
    found.stop()


@pytest.fixture
async def letters(server: Nats) -> AsyncIterator[DeadLetters]:
    found = await DeadLetters.open(server.url)
    for each in await found.newest():
        await found.forget(each.number)
    yield found
    await found.close()


def delivered(sent: CloudEvent, broker: str = "instances") -> Letter:
    """As Knative hands it to its dead letter sink."""
    headers, body = to_binary(CloudEvent({**sent.get_attributes(), **FAILED}, sent.data))
    return letter(from_http(headers, body), broker)


def test_what_knative_says_of_the_failure_is_not_part_of_the_event() -> None:
    sent = event(traceparent="00-a-b-00")
    found = delivered(sent)
    assert (found.broker, found.function, found.code, found.error) == ("instances", "install-release", "500", "boom")
    assert found.event == sent


def test_an_event_that_names_no_failure_is_a_letter_all_the_same() -> None:
    sent = event()
    assert letter(sent, "usage") == Letter("usage", "", "", "", sent)


async def test_what_is_kept_comes_back_as_it_was(letters: DeadLetters) -> None:
    one, other = delivered(event()), delivered(event(), "offerings")
    await letters.keep(one)
    await letters.keep(other)
    found = await letters.newest()
    assert [text(each) for each in found] == [text(one), text(other)]
    assert [each.event for each in found] == [one.event, other.event]
    assert [each.id for each in await letters.newest(1)] == [other.id]


async def test_what_was_sent_again_and_failed_again_is_kept_again(letters: DeadLetters) -> None:
    one = delivered(event())
    await letters.keep(one)
    await letters.forget((await letters.newest())[0].number)
    await letters.keep(one)
    assert [each.id for each in await letters.newest()] == [one.id]


async def test_what_is_forgotten_is_gone_and_the_rest_is_not(letters: DeadLetters) -> None:
    one, other = delivered(event()), delivered(event())
    for each in (one, other):
        await letters.keep(each)
    (first, _) = await letters.newest()
    await letters.forget(first.number)
    await letters.forget(first.number)
    assert [each.id for each in await letters.newest()] == [other.id]


async def test_letters_outlive_the_server(letters: DeadLetters, server: Nats) -> None:
    one = delivered(event())
    await letters.keep(one)
    server.stop()
    server.start()
    again = await DeadLetters.open(server.url)
    assert one.id in [each.id for each in await again.newest()]
    await again.close()


async def test_without_nats_it_is_later() -> None:
    with pytest.raises(RetryLater, match="NATS"):
        await DeadLetters.open("nats://127.0.0.1:1")


async def test_where_nothing_ever_failed_there_is_nothing(tools: dict[str, str], tmp_path: Path) -> None:
    fresh = Nats(tools["nats-server"], tmp_path / "nats")
    fresh.start()
    found = await DeadLetters.open(fresh.url)
    assert await found.newest() == []
    await found.close()
    fresh.stop()


def test_an_event_is_named_by_the_beginning_of_its_id() -> None:
    ones = [Letter("b", "f", "", "", event(id=each)) for each in ("abc", "abd", "x")]
    assert meant(ones, "x") is ones[2]
    assert meant(ones, "abc") is ones[0]
    with pytest.raises(Refused, match="could be abc, abd"):
        meant(ones, "ab")
    with pytest.raises(Refused, match="no such dead letter"):
        meant(ones, "y")


def test_a_letter_is_shown_whole_as_json() -> None:
    found = document(delivered(event(id="one")))
    assert (found["id"], found["function"], found["event"]["data"]) == ("one", "install-release", {"generation": 1})


@pytest.mark.parametrize(
    ("ingress", "expected"),
    [
        (None, "http://broker-ingress.knative-eventing.svc/chandlery/usage"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/chandlery/usage"),
    ],
    ids=["inside", "outside"],
)
def test_a_broker_is_reached_by_its_own_path_wherever_its_ingress_is(ingress: str | None, expected: str) -> None:
    assert reached("http://broker-ingress.knative-eventing.svc/chandlery/usage", ingress) == expected
