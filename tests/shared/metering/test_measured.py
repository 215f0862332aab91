"""Readings into events: none too large, nothing lost between them, and the same samples always the same event."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.readings import LARGEST, Reading
from shared.function import envelope_of
from shared.metering.measured import Measured, events, whole
from shared.metering.rounds import Rounds
from shared.metering.summary import of_node
from tests.shared.metering.builders import at, subject
from tests.shared.metering.stats import OWNERS, pod, stamp, stats, summary


def node_of(pods: int, second: float = 30) -> Measured:
    told = [stats(second, uid=f"pod-{n}", name=f"orders-{n}") for n in range(pods)]
    return of_node("node-1", summary(*told), [pod(f"pod-{n}") for n in range(pods)], OWNERS, {})


@given(st.integers(0, 30), st.integers(3_000, 50_000))
def test_events_hold_everything_and_none_is_larger_than_it_may_be(pods: int, most: int) -> None:
    found = node_of(pods)
    split = [*events("node/node-1", found, most)]
    assert [each for _, event in split for each in event.readings] == found.readings
    assert [each for _, event in split for each in event.subjects] == found.subjects
    sizes = [len(json.dumps(envelope_of(event, "/x", identity).data)) for identity, event in split]
    assert all(size <= most for size in sizes)
    assert len({identity for identity, _ in split}) == len(split)


def test_a_full_node_is_few_events() -> None:
    assert len([*events("node/node-1", node_of(250))]) <= 2


def test_the_same_samples_are_the_same_event_and_others_another() -> None:
    ids = [[identity for identity, _ in events("node/node-1", found)] for found in (node_of(3), node_of(3))]
    assert ids[0] == ids[1]
    assert ids[0] != [identity for identity, _ in events("node/node-1", node_of(3, 60))]
    assert ids[0] != [identity for identity, _ in events("node/node-2", node_of(3))]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [(7, 7), (7.0, 7), (0, 0), (True, None), (-1, None), ("7", None), (LARGEST, LARGEST), (LARGEST + 1, None)],
    ids=repr,
)
def test_only_what_can_be_counted_is_a_number(given_: object, expected: int | None) -> None:
    assert whole(given_) == expected


def test_whoever_was_there_and_is_gone_is_told_to_have_ended_once() -> None:
    rounds, now = Rounds(), at(60)
    rounds.seen([subject(30), subject(30, uid="pod-1/network/1"), subject(30, uid="pod-2"), subject(30, kind="node")])
    gone = rounds.ended({"pod-2": pod("pod-2")}, set(), now)
    assert [(each.uid, each.ended, each.seen_last) for each in gone.subjects] == [
        ("pod-1", True, now),
        ("pod-1/network/1", True, now),
    ]
    assert rounds.ended({"pod-2": pod("pod-2")}, set(), now) == Measured()


def test_a_pod_that_ended_by_itself_ended_then() -> None:
    rounds = Rounds()
    rounds.seen([subject(30)])
    ended = [{"name": "app", "state": {"terminated": {"finishedAt": stamp(at(41))}}}]
    gone = rounds.ended({"pod-1": pod(phase="Succeeded", containerStatuses=ended)}, set(), at(60))
    assert [each.seen_last for each in gone.subjects] == [at(41)]


def test_a_pod_that_only_the_kubelet_still_knows_is_not_gone() -> None:
    rounds = Rounds()
    rounds.seen([subject(30)])
    assert rounds.ended({}, {"pod-1"}, at(60)) == Measured()


def test_a_reading_that_makes_no_sense_is_counted_as_odd() -> None:
    found = Measured()
    found.read("", "pod", "cpu_core_ns", datetime.now(UTC), 1)
    found.read("pod-1", "pod", "cpu_core_ns", None, 1)
    found.read("pod-1", "pod", "cpu_core_ns", at(0), None)
    found.read("pod-1", "pod", "cpu_core_ns", at(0), 1)
    assert (found.odd, found.readings) == (
        2,
        [Reading(subject="pod-1", kind="pod", metric="cpu_core_ns", at=at(0), value=1)],
    )
