"""What becomes of a kubelet's summary: all of what it says, and nothing of what makes no sense."""

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.readings import (
    CAPACITY_CPU,
    CAPACITY_MEMORY,
    CPU,
    EPHEMERAL_STORAGE,
    INSTANCE_PRESENT,
    LIMITS_CPU,
    LIMITS_MEMORY,
    MEMORY,
    NETWORK_RECEIVED,
    NETWORK_TRANSMITTED,
    REQUESTS_CPU,
    REQUESTS_MEMORY,
    RESTARTS,
    VOLUME_CAPACITY,
    VOLUME_USED,
    Reading,
)
from shared.metering.derive import Series, flows, in_order, total
from shared.metering.measured import Measured
from shared.metering.owners import owners_of
from shared.metering.summary import by_name, capacity, of_cluster, of_node
from shared.metering.times import ms_of
from tests.shared.metering.builders import T0, at
from tests.shared.metering.stats import HOME, OWNER, OWNERS, claim, node, pod, stats, summary, volume

CLAIMS = by_name([claim()])


def since(seconds: int) -> int:
    return int(at(seconds).timestamp())


def values(found: Measured) -> dict[tuple[str, str], int]:
    return {(each.subject, each.metric): each.units for each in found.readings}


def measured(said: object, *pods: dict[str, Any], owners: Any = OWNERS) -> Measured:
    return of_node("node-1", said, pods, owners, CLAIMS)


def test_a_pod_is_read_with_all_it_uses_and_asks_for() -> None:
    found = measured(summary(stats()), pod(restarts=3))
    assert values(found) == {
        ("pod-1", CPU): 1000,
        ("pod-1", MEMORY): 2000,
        ("pod-1", EPHEMERAL_STORAGE): 500,
        ("pod-1", REQUESTS_CPU): 250,
        ("pod-1", LIMITS_CPU): 1000,
        ("pod-1", REQUESTS_MEMORY): 64 << 20,
        ("pod-1", LIMITS_MEMORY): 128 << 20,
        ("pod-1", RESTARTS): 3,
        (f"pod-1/network/{since(0)}", NETWORK_RECEIVED): 30,
        (f"pod-1/network/{since(0)}", NETWORK_TRANSMITTED): 40,
    }
    assert {each.at for each in found.readings} == {at(30)}
    assert found.odd == 0


def test_a_pod_counts_since_its_start_and_its_network_since_its_sandbox() -> None:
    found = measured(summary(stats(90, began=60)), pod())
    assert {each.uid: each.started_at for each in found.subjects} == {
        "pod-1": T0,
        f"pod-1/network/{since(60)}": at(60),
    }
    assert {each.model_dump()["consumer"] for each in found.subjects} == {"team-a"}
    assert found.subjects[0].requests == {"cpu": "0.250", "memory": "67108864"}


def test_a_pod_that_the_api_server_has_forgotten_is_read_all_the_same() -> None:
    found = measured(summary(stats()))
    assert values(found)["pod-1", CPU] == 1000
    assert (found.subjects[0].instance_uid, found.subjects[0].started_at) == ("instance-1", None)


def test_pods_of_others_are_nobodys_business() -> None:
    assert measured(summary(stats(home="kube-system"))) == Measured()


def test_a_volume_that_two_pods_have_mounted_counts_once() -> None:
    mounted = [stats(uid=f"pod-{n}", volume=[volume(30, 700 + n)]) for n in range(2)]
    found = [each for each in measured(summary(*mounted)).readings if each.metric == VOLUME_USED]
    assert [(each.subject, each.kind, each.units) for each in found] == [("claim-1", "volume", 700)]


def test_a_claim_of_another_namespace_is_not_read_through_a_pod_of_ours() -> None:
    other = volume(30, 7, home="kube-system")
    assert (("claim-1", VOLUME_USED) in values(measured(summary(stats(volume=[other]))))) is False


@pytest.mark.parametrize(
    ("metrics", "left"),
    [
        ({"cpu"}, {CPU, REQUESTS_CPU, LIMITS_CPU, RESTARTS}),
        ({"memory"}, {MEMORY, REQUESTS_MEMORY, LIMITS_MEMORY, RESTARTS}),
        ({"storage"}, {EPHEMERAL_STORAGE, VOLUME_USED, RESTARTS}),
        ({"network"}, {NETWORK_RECEIVED, NETWORK_TRANSMITTED}),
    ],
    ids=["cpu", "memory", "storage", "network"],
)
def test_an_offering_chooses_what_is_read(metrics: set[str], left: set[str]) -> None:
    owners = {HOME: OWNER._replace(metrics=frozenset(metrics))}
    found = measured(summary(stats(volume=[volume(30, 7)])), pod(), owners=owners)
    assert {each.metric for each in found.readings} == left


def test_a_node_is_what_it_has_and_all_that_is_used_on_it() -> None:
    found = capacity(node(), summary())
    assert values(found) == {
        ("node-uid", CPU): 5000,
        ("node-uid", MEMORY): 6000,
        ("node-uid", CAPACITY_CPU): 4000,
        ("node-uid", CAPACITY_MEMORY): 8 << 30,
    }
    assert [each.name for each in found.subjects] == ["node-1"]


def test_claims_and_instances_are_there_without_any_pod() -> None:
    found = of_cluster(OWNERS, [claim(), claim("claim-2", "new", phase="Pending")], at(40))
    assert values(found) == {("instance-1", INSTANCE_PRESENT): 1, ("claim-1", VOLUME_CAPACITY): 10 << 30}
    assert {each.uid: each.started_at for each in found.subjects} == {"instance-1": T0, "claim-1": T0}


def test_an_instance_that_is_leaving_has_had_its_last_reading() -> None:
    assert of_cluster({HOME: OWNER._replace(leaving=True)}, [], at(40)) == Measured()


def test_whose_a_namespace_is_follows_from_its_marks_its_offering_and_who_has_the_consumers_namespace() -> None:
    marks = {"app.kubernetes.io/managed-by": "chandlery", "chandlery.dev/instance-uid": "instance-1"}
    notes = {
        "chandlery.dev/api": "databases.v1.acme.example.com/Database",
        "chandlery.dev/offering": "database",
        "chandlery.dev/instance": "orders",
        "chandlery.dev/instance-namespace": "team-a",
        "chandlery.dev/plan": "small",
    }
    told = {"name": HOME, "labels": marks, "annotations": notes, "creationTimestamp": "2026-11-01T00:00:00Z"}
    offering = {"metadata": {"name": "database"}, "spec": {"metering": {"metrics": ["cpu"]}}}
    consumer = {"metadata": {"name": "acme"}, "status": {"namespaces": ["team-a"]}}
    assert owners_of([{"metadata": told}, {"metadata": {"name": "other"}}], [offering], [consumer]) == {
        HOME: OWNER._replace(consumer="acme", metrics=frozenset({"cpu"}))
    }


ODD: list[Any] = [None, -1, True, "7", [], {}, float("nan"), float("inf"), 2**64, 1e300]
PATHS = [
    ("cpu", "usageCoreNanoSeconds"),
    ("cpu", "time"),
    ("cpu",),
    ("memory", "workingSetBytes"),
    ("network", "time"),
    ("podRef", "uid"),
    ("podRef",),
    ("startTime",),
    ("volume",),
]


@pytest.mark.parametrize("path", PATHS, ids=".".join)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_what_is_odd_is_left_out_and_the_rest_is_read(path: tuple[str, ...], odd: Any) -> None:
    said = stats(volume=[volume(30, 7)])
    place: Any = said
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = odd
    found = measured(summary(said, stats(uid="pod-2")), pod())
    assert values(found)["pod-2", CPU] == 1000


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("2026-11-01T00:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["pods", "podRef", "uid", "name", "namespace", "cpu", "time", "usageCoreNanoSeconds", "volume"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(anything, anything)
def test_nothing_that_a_kubelet_says_is_a_crash(said: Any, part: Any) -> None:
    measured(said, pod())
    capacity(node(), said)
    told = stats()
    told |= part if isinstance(part, dict) else {"cpu": part, "volume": part, "podRef": part}
    measured({"pods": [told]}, pod())


used = st.lists(st.tuples(st.integers(0, 10**9), st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(used, st.randoms(use_true_random=False))
def test_what_summaries_say_derives_to_what_was_used_whichever_of_them_are_read(
    steps: list[tuple[int, bool, bool]], order: Any
) -> None:
    """CPU goes on when the sandbox is made anew, even in the second of a sample; network begins again. A tick may be
    missed, but for the last one before a sandbox goes: what its network counted after that, nobody can know."""
    cpu = network = sent = began = 0
    read: list[Reading] = []
    starts: dict[str, set[int]] = defaultdict(set)
    for number, (amount, anew, missed) in enumerate(steps, 1):
        if anew:
            network, began = 0, (number - 1) * 30
        cpu, network, sent = cpu + amount, network + amount, sent + amount
        last = number == len(steps) or steps[number][1]
        if missed and not last:
            continue
        told = stats(number * 30, began=began)
        told["cpu"]["usageCoreNanoSeconds"], told["network"]["txBytes"] = cpu, network
        found = measured(summary(told), pod())
        read += found.readings
        for who in found.subjects:
            starts[who.uid] |= {ms_of(who.started_at)} if who.started_at else set()
    order.shuffle(read)
    assert (derived(read, CPU, starts), derived(read, NETWORK_TRANSMITTED, starts)) == (cpu, sent)


def derived(read: list[Reading], metric: str, starts: dict[str, set[int]]) -> int:
    whole = 0
    for uid, begun in starts.items():
        points = in_order((ms_of(each.at), each.units) for each in read if (each.subject, each.metric) == (uid, metric))
        whole += total(flows(Series("counter", points, sorted(begun))), 0, 2**62)
    return whole
