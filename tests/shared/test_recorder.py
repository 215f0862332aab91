"""Kubernetes Events: which are told, and that the same news is told once."""

from datetime import UTC, datetime

import pytest

from shared.conditions import Condition, condition
from shared.recorder import about, worth_telling
from shared.resources import OFFERINGS, Resource

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATABASES = Resource("acme.example.com", "v1alpha1", "databases", "Database")
ORDERS = {"name": "orders", "namespace": "team-a", "uid": "u1"}
ACCEPTED = condition("Accepted", True, "Accepted", "", 1)
DEPLOYED = condition("Deployed", True, "Deployed", "postgres 1.0, revision 1", 1)
REFUSED = condition("Accepted", False, "LimitReached", "3 of 3", 1)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([ACCEPTED, DEPLOYED], [DEPLOYED], id="the last step"),
        pytest.param([REFUSED, DEPLOYED], [REFUSED], id="what stands in the way"),
    ],
)
def test_the_last_step_is_told_or_what_stands_in_the_way(changed: list[Condition], told: list[Condition]) -> None:
    assert worth_telling(changed) == told


def test_an_event_says_what_of_whom_by_whom() -> None:
    found = about(DATABASES, ORDERS, DEPLOYED, "install_release", NOW)
    assert found == {
        "metadata": {"name": found["metadata"]["name"], "namespace": "team-a"},
        "eventTime": "2026-11-23T12:00:00.000000Z",
        "type": "Normal",
        "reason": "Deployed",
        "note": "postgres 1.0, revision 1",
        "action": "Deployed",
        "reportingController": "chandlery.dev/chandlery",
        "reportingInstance": "install_release",
        "regarding": {
            "apiVersion": "acme.example.com/v1alpha1",
            "kind": "Database",
            "name": "orders",
            "namespace": "team-a",
            "uid": "u1",
        },
    }


def test_the_same_news_has_the_same_name_and_other_news_another() -> None:
    def name(said: Condition) -> str:
        return str(about(DATABASES, ORDERS, said, "anybody", NOW)["metadata"]["name"])

    again = condition("Accepted", False, "LimitReached", "3 of 3", 1)
    newer = condition("Accepted", False, "LimitReached", "3 of 3", 2)
    assert (name(REFUSED) == name(again), name(REFUSED) == name(newer)) == (True, False)


def test_an_offerings_events_stand_where_kubernetes_looks_for_them() -> None:
    found = about(OFFERINGS, {"name": "database", "uid": "u2"}, REFUSED, "register_chart", NOW)
    assert (found["metadata"]["namespace"], found["type"]) == ("default", "Warning")


def test_a_long_message_is_cut_to_what_an_event_may_hold() -> None:
    long = condition("Deployed", False, "HelmFailed", "x" * 3000, 1)
    assert len(about(DATABASES, ORDERS, long, "install_release", NOW)["note"]) == 1024
