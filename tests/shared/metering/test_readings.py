"""What may be read, and what it counts as."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from events.readings import CPU, LARGEST, Reading, in_thousandths
from tests.shared.metering.builders import T0, reading


def test_a_reading_survives_its_way_as_json() -> None:
    for each in (reading(0, LARGEST), reading(0.1, 3, "custom:orders", counter=True)):
        assert Reading.model_validate_json(each.model_dump_json()) == each


def test_times_are_utc_to_the_millisecond() -> None:
    local = datetime(2026, 11, 1, 1, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert Reading(subject="p", kind="pod", metric=CPU, at=local, value=1).at == datetime(
        2026, 11, 1, 0, 0, 0, 123_000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"value": -1}, "no number from 0"),
        ({"value": float("nan")}, "no number from 0"),
        ({"value": float("inf")}, "no number from 0"),
        ({"value": Decimal("1e999999")}, "no number from 0"),
        ({"value": 10**400}, "no number from 0"),
        ({"value": 1.5}, "whole units"),
        ({"metric": "cpu"}, "not known"),
        ({"metric": "custom:orders"}, "counter or a gauge"),
        ({"metric": "custom:orders", "counter": True, "value": LARGEST}, "thousandths"),
        ({"at": datetime(2026, 11, 1)}, "timezone"),
        ({"subject": ""}, "at least 1 character"),
    ],
    ids=lambda case: str(case)[:30],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Reading(**{"subject": "p", "kind": "pod", "metric": CPU, "at": T0, "value": 1, **fields})


@given(st.floats(0, 10**12) | st.integers(0, 10**15) | st.decimals(0, 10**12, places=6))
def test_custom_metrics_are_kept_to_the_thousandth(value: float | Decimal) -> None:
    exact = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    assert abs(in_thousandths(value) - exact * 1000) <= Decimal("0.5")
