"""What an instance shows of its last hour."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.readings import CPU, INSTANCE_PRESENT, NETWORK_RECEIVED, VOLUME_CAPACITY, Type
from events.usage import Amount, UsageRecorded
from shared.metering.derive import HOUR_MS
from shared.metering.told import CUSTOM_LIMIT, newer, status_of
from tests.shared.metering.builders import T0


def amount(metric: str, value: int, kind: Type = "gauge", gap_ms: int = 0) -> Amount:
    return Amount(metric=metric, type=kind, amount=value, gap_ms=gap_ms)


def recorded(hour: int = 0, revision: int = 1, plan: str = "small", *amounts: Amount) -> UsageRecorded:
    return UsageRecorded(
        instance_uid="i-1",
        instance="team-a/orders",
        offering="database",
        plan=plan,
        consumer_namespace="team-a",
        consumer="team-a",
        start=T0 + timedelta(hours=hour),
        end=T0 + timedelta(hours=hour + 1),
        revision=revision,
        amounts=[*amounts],
    )


def test_amounts_are_shown_in_units_people_read_and_what_was_not_measured_is_left_out() -> None:
    found = status_of(
        recorded(
            0,
            1,
            "small",
            amount(CPU, 1_800_000_000_001, "counter", 30_000),
            amount(INSTANCE_PRESENT, HOUR_MS),
            amount(VOLUME_CAPACITY, 20 * 2**30 * HOUR_MS, gap_ms=90_500),
            amount(NETWORK_RECEIVED, 2**29, "counter"),
            amount("custom:orders", 2500, "counter"),
            amount("custom:seats", 3000 * HOUR_MS),
            amount("restarts", 3, "counter"),
        )
    )
    assert found == {
        "start": "2026-11-01T00:00:00Z",
        "end": "2026-11-01T01:00:00Z",
        "revision": 1,
        "plan": "small",
        "instanceHours": 1,
        "cpuCoreHours": 0.5,
        "storageGiBHours": 20,
        "network": {"receivedGiB": 0.5},
        "custom": {"orders": 2.5, "seats": 3},
        "gapSeconds": 90,
    }


def test_no_more_custom_metrics_than_fit() -> None:
    many = [amount(f"custom:{number:03}", 1000, "counter") for number in range(CUSTOM_LIMIT + 5)]
    assert [*status_of(recorded(0, 1, "", *many))["custom"]] == [f"{number:03}" for number in range(CUSTOM_LIMIT)]


def ended(events: list[UsageRecorded]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for each in events:
        if newer(each, shown):
            shown = status_of(each)
    return shown


@pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
def test_in_whatever_order_hours_and_revisions_come_the_newest_stays(order: tuple[int, ...]) -> None:
    events = [recorded(0, 7), recorded(1, 1), recorded(1, 2)]
    assert ended([events[index] for index in order]) == status_of(recorded(1, 2))


hours = st.builds(
    lambda hour, revision, plan, used: recorded(hour, revision, plan, amount(CPU, used, "counter")),
    *(st.integers(0, 3), st.integers(1, 3), st.sampled_from(["small", "large"]), st.integers(0, 10**15)),
)


@given(st.lists(hours, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_doubled_and_reordered_events_end_the_same(events: list[UsageRecorded], random: Any) -> None:
    doubled = events * 2
    random.shuffle(doubled)
    assert ended(doubled) == ended(events)
