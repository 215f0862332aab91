"""The table of events is complete, its export is current, and nothing that was ever sent becomes unreadable."""

import inspect
import json
from pathlib import Path

import jsonschema
import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import from_http

import events
from events import catalog
from events.base import Event
from knative import manifests
from shared import crds
from shared.function import envelope_of, takes
from shared.serve import FUNCTIONS, names

ROOT = Path(events.__file__).parent.parent
RECORDED = Path(__file__).parent / "recorded"
EVENTS = [entry.event for entry in catalog.CATALOG]


def every_event() -> set[type[Event]]:
    found: set[type[Event]] = set()
    for path in Path(events.__file__).parent.glob("[!_]*.py"):
        module = __import__(f"events.{path.stem}", fromlist=["_"])
        found |= {
            each
            for _, each in inspect.getmembers(module, inspect.isclass)
            if issubclass(each, Event) and "type" in vars(each)
        }
    return found


def test_every_event_stands_in_the_table_once() -> None:
    assert every_event() == set(EVENTS)
    assert len({event.type for event in every_event()}) == len(every_event())
    assert len({(entry.event, entry.broker) for entry in catalog.CATALOG}) == len(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_a_recorded_example_of_each_event_is_still_understood(event: type[Event]) -> None:
    recorded = json.loads((RECORDED / f"{event.type}.json").read_text())
    parsed = event.model_validate(recorded)
    assert parsed.model_dump(mode="json") == recorded
    jsonschema.validate(recorded, catalog.json_schema(event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
@pytest.mark.parametrize("encode", [to_binary, to_structured])
def test_an_event_survives_both_content_modes(event: type[Event], encode: object) -> None:
    said = event.model_validate_json((RECORDED / f"{event.type}.json").read_text())
    headers, body = encode(envelope_of(said, "/chandlery/test", "11111111-1111-1111-1111-111111111111"))  # type: ignore[operator]
    received = from_http(headers, body)
    assert event.model_validate(received.data) == said
    assert (received["type"], received["subject"]) == (event.type, said.subject)


def test_a_field_that_a_producer_adds_first_is_ignored() -> None:
    event = EVENTS[0]
    recorded = json.loads((RECORDED / f"{event.type}.json").read_text())
    assert event.model_validate({**recorded, "new": 1}) == event.model_validate(recorded)


@pytest.mark.parametrize("name", sorted({*names()} - {*catalog.WEBHOOKS, *catalog.PAGES, *catalog.DEAD_LETTERS}))
def test_a_function_takes_exactly_what_the_table_sends_it(name: str) -> None:
    module = __import__(f"functions.{name}", fromlist=["_"])
    sent = {entry.event for entry in catalog.CATALOG if name in entry.consumers}
    assert set(takes(getattr(module, name))) == sent


def test_every_consumer_is_a_function() -> None:
    consumers = {consumer for entry in catalog.CATALOG for consumer in entry.consumers}
    assert consumers | {*catalog.WEBHOOKS, *catalog.PAGES, *catalog.DEAD_LETTERS} == set(names())
    assert FUNCTIONS.is_dir()


def test_what_is_generated_is_committed(tmp_path: Path) -> None:
    catalog.write(tmp_path / "events")
    manifests.write(tmp_path / "knative")
    crds.write(tmp_path / "crds")
    committed = {
        tmp_path / "events": ROOT / "docs/reference/events",
        tmp_path / "crds": ROOT / "knative/base/crds",
        **{tmp_path / "knative" / name: ROOT / "knative" / name for name in manifests.generated()},
    }
    for generated, kept in committed.items():
        pairs = [(generated, kept)] if generated.is_file() else [(p, kept / p.name) for p in generated.iterdir()]
        for made, there in pairs:
            assert there.read_text() == made.read_text(), f"run `make generate`: {there.relative_to(ROOT)} is stale"
