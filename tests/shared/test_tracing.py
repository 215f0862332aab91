"""Which trace something belongs to, and that nothing is told, nor imported, while nobody wants to know."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from cloudevents.conversion import to_binary
from cloudevents.http import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from events.base import Event, OfferingKey, event_id
from events.instances import InstanceAdmitted, InstanceReady, InstanceRequested
from events.offerings import OfferingApplied
from events.requests import Found, Message, RequestAnswered
from events.workloads import WorkloadsChanged
from shared import tracing
from shared.function import envelope_of, reply
from shared.tracing import Context, trace_of, wish_of
from tests.alone import AWAY, alone
from tests.builders import KEY
from tests.collector import Collector, collecting

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
UPSTREAM = Context("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "True"}, False),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True),
    ],
    ids=str,
)
def test_the_variables_of_opentelemetry_switch_it_on_and_off(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.on(environment) == wanted


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setattr(tracing, "tell", lambda *spans: told.extend(spans))
    told.clear()


told: list[tracing.Span] = []


def context(envelope: CloudEvent) -> Context:
    found = Context.parse(envelope["traceparent"])
    assert found
    return found


def event(said: Event, *cause: object, again: bool = False) -> CloudEvent:
    return tracing.begun(envelope_of(said, "/chandlery/instances_source", event_id(said.type, *cause)), again=again)


REQUESTED = InstanceRequested(instance=KEY, generation=3)
WISH = trace_of(KEY.uid, 3)
FIRST = Context(WISH, WISH[:16])


def test_while_it_is_off_an_event_begins_a_trace_of_its_id() -> None:
    found = envelope_of(REQUESTED, "/x", event_id("cause"))
    identity = UUID(event_id("cause")).hex
    assert found["traceparent"] == f"00-{identity}-{identity[:16]}-00"


def test_all_that_asks_for_a_generation_is_one_trace_with_one_first_span(wanted: None) -> None:
    assert {context(event(REQUESTED, why)) for why in ("the source's", "with marks", "resync's")} == {FIRST}
    assert context(event(InstanceRequested(instance=KEY, generation=4))).trace != WISH


def test_a_reminder_comes_below_the_first_span(wanted: None) -> None:
    found = context(event(REQUESTED, "republished", again=True))
    assert (found.trace, found.above) == (WISH, FIRST)
    assert found.span != FIRST.span
    assert found == context(event(REQUESTED, "republished", again=True))


def test_what_says_no_generation_is_a_trace_of_its_own(wanted: None) -> None:
    found = [context(event(WorkloadsChanged(instance=KEY), version)) for version in (1, 1, 2)]
    assert found[0] == found[1]
    assert len({WISH, found[0].trace, found[2].trace}) == 3
    assert found[0].above is None


ANSWER = RequestAnswered(
    request="x",
    sender="consumer/a",
    message=Message(id="1", source="s", position=1),
    namespace="team-a",
    name="orders",
    outcome="accepted",
    reason="Accepted",
    instance=Found(api_version="v1", kind="K", uid=KEY.uid, generation=3),
)


@pytest.mark.parametrize(
    ("said", "wish"),
    [
        (REQUESTED, WISH),
        (InstanceReady(instance=KEY, generation=3), WISH),
        (ANSWER, WISH),
        (ANSWER.model_copy(update={"instance": None}), None),
        (WorkloadsChanged(instance=KEY), None),
        (OfferingApplied(offering=OfferingKey(name="o", uid="u"), generation=1), trace_of("u", 1)),
    ],
    ids=["requested", "ready", "a request answered", "a request refused", "workloads", "an offering"],
)
def test_the_wish_is_read_from_what_an_event_says(said: Event, wish: str | None) -> None:
    assert wish_of(said.model_dump(mode="json")) == wish


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["instance", "uid", "generation", "x"]), inner),
)


@given(json)
def test_whatever_an_event_says_it_is_read(data: object) -> None:
    wish_of(data)
    tracing.attributes(CloudEvent({"type": "t", "source": "s", "id": "1"}, data), "process")


@given(st.text() | st.from_regex(tracing.TRACEPARENT, fullmatch=True))
def test_a_traceparent_is_understood_or_not_taken(text: str) -> None:
    found = Context.parse(text)
    assert found is None or str(found) == text


def stepped(function: str, cause: CloudEvent, said: Event | None) -> tuple[CloudEvent | None, list[tracing.Span]]:
    told.clear()
    with tracing.step(function, cause):
        with tracing.part("helm install"):
            pass
        answer = tracing.answered(reply(function, said, cause)) if said else None
        tracing.ended("said" if said else "done")
    return answer, [*told]


def test_a_step_is_the_child_of_its_event_and_its_answer_the_child_of_the_step(wanted: None) -> None:
    cause = event(REQUESTED)
    answer, (step, part) = stepped("admit_instance", cause, InstanceAdmitted(instance=KEY, generation=3))
    assert (step.context.trace, step.above) == (WISH, FIRST)
    assert (part.context.trace, part.above) == (WISH, step.context)
    assert len({step.context.span, part.context.span, FIRST.span}) == 3
    assert answer
    assert context(answer) == step.context
    assert step.attributes == {
        "cloudevents.event_id": cause["id"],
        "cloudevents.event_type": InstanceRequested.type,
        "cloudevents.event_source": "/chandlery/instances_source",
        "cloudevents.event_subject": REQUESTED.subject,
        "cloudevents.event_spec_version": "1.0",
        "messaging.system": "knative",
        "messaging.operation.type": "process",
        "faas.name": "admit_instance",
        "chandlery.instance": f"{KEY.namespace}/{KEY.name}",
        "chandlery.offering": KEY.offering,
        "chandlery.outcome": "said",
    }


def test_a_retry_is_another_span_in_the_same_place(wanted: None) -> None:
    one, other = (stepped("admit_instance", event(REQUESTED), None)[1][0] for _ in range(2))
    assert one.above == other.above
    assert one.context != other.context


def test_news_of_a_wish_that_its_event_did_not_speak_of_go_to_its_trace(wanted: None) -> None:
    cause = event(WorkloadsChanged(instance=KEY), 1)
    answer, (step, part) = stepped("report_health", cause, InstanceReady(instance=KEY, generation=3))
    assert (step.context.trace, step.above, step.link) == (WISH, FIRST, context(cause))
    assert (part.context.trace, part.above) == (WISH, step.context)
    assert answer
    assert context(answer) == step.context


def test_what_makes_no_news_stays_where_it_is(wanted: None) -> None:
    cause = event(WorkloadsChanged(instance=KEY), 1)
    _, (step, _) = stepped("report_health", cause, None)
    assert (step.context.trace, step.above, step.link) == (context(cause).trace, context(cause), None)


def test_an_event_sent_within_a_step_is_its_child_unless_it_is_about_a_wish(wanted: None) -> None:
    with tracing.step("resync", CloudEvent({"type": "t", "source": "s", "id": "1", "traceparent": str(UPSTREAM)})):
        found = [context(event(said)) for said in (WorkloadsChanged(instance=KEY), REQUESTED)]
    (step,) = told
    assert found == [step.context, FIRST]
    assert step.above == UPSTREAM


def test_an_event_without_a_trace_begins_one(wanted: None) -> None:
    _, (step, _) = stepped("resync", CloudEvent({"type": "t", "source": "s", "id": "1"}), None)
    assert (step.above, step.context.flags) == (None, "01")


def test_where_nothing_is_in_hand_nothing_is_told(wanted: None) -> None:
    with tracing.part("helm install"), tracing.writing("PATCH", "/x"):
        pass
    assert tracing.answered(CloudEvent({"type": "t", "source": "s"})).get("traceparent") is None
    assert told == []


def test_helms_words_are_not_told(wanted: None) -> None:
    def fails() -> None:
        with tracing.step("x", event(REQUESTED)), tracing.part("helm install"):
            raise ValueError("password: hunter2")

    with pytest.raises(ValueError, match="hunter2"):
        fails()
    assert [each.error for each in told] == [None, "ValueError"]


def test_a_source_tells_what_it_saw_under_the_ids_that_its_event_has(wanted: None) -> None:
    for said in (event(REQUESTED), event(REQUESTED, "republished", again=True), event(WorkloadsChanged(instance=KEY))):
        tracing.sent(said)
        span = told[-1]
        assert (span.context, span.above) == (context(said), context(said).above)
        assert (span.service, span.name, span.ended >= span.started > 0) == ("instances_source", said["type"], True)


# As a process

FUNCTION = ("shared.serve", "admit_instance")


async def handled(url: str) -> None:
    """One that fails, and one that is malformed."""
    bodies = [REQUESTED.model_dump(mode="json"), {}]
    async with aiohttp.ClientSession() as session:
        for body in bodies:
            attributes = {"type": REQUESTED.type, "source": "/test", "id": "1", "traceparent": str(UPSTREAM)}
            headers, data = to_binary(CloudEvent(attributes, body))
            async with session.post(f"{url}/admit_instance", headers=headers, data=data) as answer:
                assert answer.status in (503, 400)


def has_the_sdk(pid: int) -> bool:
    """What is compiled of it is seen in the memory of a process."""
    return "/google/_upb/" in Path(f"/proc/{pid}/maps").read_text()


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as found:
        yield found


@pytest.mark.parametrize("disabled", ["", "true"], ids=["nothing is set", "disabled"])
async def test_while_it_is_off_nothing_is_told_and_no_function_imports_the_sdk(
    tmp_path: Path, collector: Collector, disabled: str
) -> None:
    off = {"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if disabled else {}
    async with alone(tmp_path, *FUNCTION, **off) as (url, pid):
        await handled(url)
        assert not has_the_sdk(pid)
    assert collector.spans == []


async def test_what_was_told_last_goes_out_when_it_is_stopped(tmp_path: Path, collector: Collector) -> None:
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    async with alone(tmp_path, *FUNCTION, **on) as (url, pid):
        await handled(url)
        assert has_the_sdk(pid)
    assert [
        (each.service, each.name, each.trace, each.above, each["chandlery.outcome"], each.failed)
        for each in collector.spans
    ] == [
        ("admit_instance", "admit_instance", UPSTREAM.trace, UPSTREAM.span, "later", False),
        ("admit_instance", "admit_instance", UPSTREAM.trace, UPSTREAM.span, "malformed", True),
    ]


async def test_a_collector_that_is_away_keeps_nobody_from_stopping(tmp_path: Path) -> None:
    async with alone(tmp_path, *FUNCTION, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{AWAY}") as (url, _):
        await handled(url)
