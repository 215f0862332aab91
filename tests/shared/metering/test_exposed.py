"""Counters for Prometheus: complete, bounded, and none ever falls."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from events.readings import CPU, MEMORY, NETWORK_RECEIVED, NETWORK_TRANSMITTED
from functions.expose_usage import DEFAULT_LIMIT, KEPT_SECONDS, Kept, limit_in, text_of
from knative.local.layout import REPOSITORY
from shared.errors import RetryLater
from shared.metering.exposed import CUSTOM_LIMIT, OTHER, SERIES, Exposed
from shared.metering.ledger import Ledger
from shared.metering.usage import Tenure, Usage
from tests.shared.metering.builders import reading, subject

DASHBOARD = REPOSITORY / "knative/dashboards/usage.json"


def used(number: int, amount: int, metric: str = CPU, gap_ms: int = 0) -> Usage:
    tenure = Tenure(f"i-{number}", f"team-a/db-{number}", "database", "small", "team-a", "team-a")
    kind = "gauge" if metric == MEMORY else "counter"
    return Usage(tenure, metric, "gauge" if kind == "gauge" else "counter", amount, gap_ms)


def shown(exposed: Exposed, found: Sequence[Usage], living: set[str] | None = None) -> dict[str, dict[str, float]]:
    """By metric, and by instance, as a scraper of OpenMetrics reads it."""
    here = {each.tenure.instance_uid for each in found} if living is None else living
    text = text_of(exposed.collect(found, here)).decode()
    values: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            labels = sample.labels
            told = labels.get("direction") or labels.get("metric") or ""
            name = labels.get("instance") or labels.get("series") or ""
            values.setdefault(sample.name, {})[f"{name}{'/' if told else ''}{told}"] = sample.value
    return values


def test_what_was_used_is_shown_in_base_units() -> None:
    found = shown(
        Exposed(10),
        [
            used(1, 1_500_000_000, gap_ms=30_000),
            used(1, 2**30 * 60_000, MEMORY, gap_ms=60_000),
            used(1, 5, NETWORK_RECEIVED),
            used(1, 7, NETWORK_TRANSMITTED),
            used(1, 2500, "custom:orders"),
        ],
    )
    assert found == {
        "chandlery_instance_cpu_seconds_total": {"db-1": 1.5},
        "chandlery_instance_memory_byte_seconds_total": {"db-1": 2**30 * 60},
        "chandlery_instance_network_bytes_total": {"db-1/received": 5, "db-1/transmitted": 7},
        "chandlery_instance_custom_total": {"db-1/orders": 2.5},
        "chandlery_instance_gap_seconds_total": {"db-1": 60},
        "chandlery_usage_instances": {"own": 1, "other": 0},
        "chandlery_usage_custom_left_out": {"": 0},
    }


def test_those_beyond_the_limit_are_added_up_and_counted() -> None:
    found = shown(Exposed(2), [used(number, number * 10**9) for number in range(1, 6)])
    assert found["chandlery_instance_cpu_seconds_total"] == {"db-5": 5, "db-4": 4, OTHER: 6}
    assert found["chandlery_usage_instances"] == {"own": 2, "other": 3}


def test_who_is_gone_makes_room_for_who_comes() -> None:
    exposed = Exposed(1)
    shown(exposed, [used(1, 10**9)])
    found = shown(exposed, [used(1, 10**9), used(2, 10**9)], living={"i-2"})
    assert found["chandlery_instance_cpu_seconds_total"] == {"db-2": 1}


def test_who_was_gone_before_is_not_shown() -> None:
    assert "chandlery_instance_cpu_seconds_total" not in shown(Exposed(5), [used(1, 10**9)], living=set())


def test_a_correction_downwards_waits_until_it_is_caught_up() -> None:
    exposed = Exposed(5)
    values = [shown(exposed, [used(1, seconds * 10**9)]) for seconds in (5, 4, 6)]
    assert [each["chandlery_instance_cpu_seconds_total"]["db-1"] for each in values] == [5, 5, 6]


def test_names_of_custom_metrics_are_bounded() -> None:
    many = [used(1, 1000, f"custom:{number:03}") for number in range(CUSTOM_LIMIT + 3)]
    found = shown(Exposed(5), many)
    assert len(found["chandlery_instance_custom_total"]) == CUSTOM_LIMIT
    assert found["chandlery_usage_custom_left_out"] == {"": 3}


steps = st.lists(st.dictionaries(st.integers(1, 5), st.integers(0, 10), max_size=5), min_size=1, max_size=6)


@given(steps, st.integers(0, 4))
def test_no_counter_ever_falls_and_none_are_more_than_the_limit(added: list[dict[int, int]], limit: int) -> None:
    """Instances come and go, and use more."""
    exposed, sums = Exposed(limit), dict.fromkeys(range(1, 6), 0)
    before: dict[tuple[str, tuple[str, ...]], float] = {}
    for step in added:
        for number, amount in step.items():
            sums[number] += amount
        found = [used(number, amount) for number, amount in sums.items() if amount]
        exposed.collect(found, {f"i-{number}" for number in step})
        now = {key: value for key, value in exposed.stood.items() if key[0] == "cpu_seconds"}
        assert all(value >= before.get(key, 0) for key, value in now.items())
        assert len([key for key in now if OTHER not in key[1]]) <= limit
        before |= now


async def test_the_endpoint_shows_what_the_ledger_has_and_asks_it_once_a_minute(ledger: Ledger) -> None:
    now, clock = datetime.now(UTC), [0.0]
    started = now - timedelta(seconds=120)
    kept = Kept(Exposed(5), lambda: clock[0])

    async def cpu(seconds: int, at: datetime) -> str:
        whose = subject(0, seen_last=at, started_at=started)
        await ledger.record([reading(0, seconds * 10**9, at=at)], [whose], now)
        return next(line for line in (await kept.text(ledger)).decode().splitlines() if "cpu_seconds_total" in line)

    labels = 'consumer="team-a",instance="orders",namespace="team-a",offering="database",plan="small",uid="instance-1"'
    assert await cpu(60, now) == f"chandlery_instance_cpu_seconds_total{{{labels}}} 60.0"
    assert (await cpu(61, now + timedelta(seconds=1))).endswith(" 60.0")
    clock[0] += KEPT_SECONDS
    assert (await cpu(62, now + timedelta(seconds=2))).endswith(" 62.0")


async def test_a_ledger_that_is_away_is_no_empty_answer(tmp_path_factory: pytest.TempPathFactory) -> None:
    ledger = Ledger.at(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('none')}/none/ledger.db")
    with pytest.raises(RetryLater):
        await Kept(Exposed(1)).text(ledger)
    await ledger.close()


@pytest.mark.parametrize(("said", "limit"), [("7", 7), ("", DEFAULT_LIMIT), ("many", DEFAULT_LIMIT), ("0", 0)])
def test_how_many_have_series_of_their_own_is_for_the_operator_to_say(said: str, limit: int) -> None:
    assert limit_in({"CHANDLERY_USAGE_SERIES": said}) == limit


def test_the_dashboard_asks_for_nothing_that_is_not_exposed() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    expressions += [each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    asked = set(re.findall(r"chandlery_\w+", " ".join(expressions)))
    exposed = {f"chandlery_instance_{name}_total" for name in SERIES}
    exposed |= {"chandlery_usage_instances", "chandlery_usage_custom_left_out"}
    assert asked
    assert asked <= exposed
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
