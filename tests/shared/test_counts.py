"""Which namespaces the API server itself counts instances in, and up to how many."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.access import Consumer
from shared.counts import changes, counts, most, quota, wanted
from shared.offering import Offering
from tests.builders import offering

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG_AGO = (NOW - timedelta(minutes=5)).isoformat()


def offered(limit: int | None = 3, since: str = LONG_AGO, published: str = "True") -> Offering:
    limits = {"instancesPerNamespace": limit} if limit is not None else {}
    found = offering(policies={"limits": limits}).model_dump(by_alias=True, mode="json")
    condition = {"type": "Published", "status": published, "reason": "x", "lastTransitionTime": since}
    found["status"] |= {"conditions": [condition], "api": found["status"]["api"] | {"crd": "x"}}
    return Offering.model_validate(found)


def consumer(limit: int | None = None) -> Consumer:
    limits = {} if limit is None else {offered().metadata.name: limit}
    spec = {"offerings": ["*"], "limits": limits}
    return Consumer.model_validate({"metadata": {"name": "team-a", "uid": "c"}, "spec": spec})


def home(name: str = "team-a", whose: str = "team-a", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"chandlery.dev/consumer": whose}, **more}}


@pytest.mark.parametrize(
    ("offering_allows", "consumer_may", "limit"),
    [
        pytest.param(3, None, 3, id="the Offering's"),
        pytest.param(None, 2, 2, id="the Consumer's"),
        pytest.param(3, 5, 3, id="the smaller, the Offering's"),
        pytest.param(5, 0, 0, id="the smaller, none at all"),
        pytest.param(None, None, None, id="no limit"),
    ],
)
def test_the_smaller_limit_counts(offering_allows: int | None, consumer_may: int | None, limit: int | None) -> None:
    assert most(offered(offering_allows), consumer(consumer_may)) == limit


def test_each_namespace_of_a_consumer_is_counted() -> None:
    given = offered()
    found = wanted([given], [consumer()], [home(), home("team-a-2")], NOW)
    assert [*found.values()] == [quota(given, "team-a", 3), quota(given, "team-a-2", 3)]
    assert quota(given, "team-a", 3)["spec"] == {"hard": {f"count/{given.crd}": "3"}}


@pytest.mark.parametrize(
    ("given", "where"),
    [
        pytest.param(offered(since=(NOW - timedelta(seconds=20)).isoformat()), home(), id="a kind too young"),
        pytest.param(offered(published="False"), home(), id="a kind not published"),
        pytest.param(offered(None), home(), id="no limit"),
        pytest.param(offered(), home(deletionTimestamp="now"), id="a namespace that goes"),
    ],
)
def test_elsewhere_nothing_is_counted(given: Offering, where: dict[str, Any]) -> None:
    assert wanted([given], [consumer()], [where], NOW) == {}


def test_only_what_differs_is_touched() -> None:
    given = offered()
    stands, lowered, gone = (quota(given, name, 3) for name in ("a", "b", "c"))
    new = quota(given, "b", 2)
    made = quota(given, "d", 3)
    todo = {(each["metadata"]["namespace"], each["metadata"]["name"]): each for each in (stands, new, made)}
    assert changes([stands, lowered, gone], todo) == ([made], [new], [gone])


@pytest.mark.parametrize(
    ("status", "begun"), [({}, False), ({"used": {}}, False), ({"used": {"count/x": "0"}}, True)], ids=str
)
def test_a_count_has_begun_when_kubernetes_says_how_many_there_are(status: dict[str, Any], begun: bool) -> None:
    assert counts({"spec": {"hard": {"count/x": "3"}}, "status": status}) is begun
