from decimal import Decimal
from typing import Any

import pytest

from shared.capacity import FIX, Node, beyond, beyond_quota, nodes_of
from shared.demand import demand
from shared.offering import Plan, Policies
from tests.rendering import container, deployment, manifests

GIB = 1024**3
SMALL = Node({"disk": "slow"}, {"cpu": Decimal(4), "memory": Decimal(64 * GIB), "pods": Decimal(10)})
LARGE = Node({"disk": "fast"}, {"cpu": Decimal(32), "memory": Decimal(16 * GIB), "pods": Decimal(10)})
HERE = "templates/all.yaml: Deployment/x: "


def told(
    requests: dict[str, str], nodes: list[Node], replicas: int = 1, policies: Policies | None = None, **more: Any
) -> list[str]:
    given = manifests(deployment(container(requests=requests), replicas=replicas, **more))
    found = beyond(given, demand(given), policies or Policies(), nodes, "this instance")
    return [each.message for each in found]


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param({"cpu": "32"}, [], id="as much as the largest node has"),
        pytest.param(
            {"cpu": "64"},
            [
                f"{HERE}a pod asks for 64 cpu, the largest node has 32; {FIX}",
                f"this instance asks for 64 cpu, all nodes together have 36; {FIX}",
            ],
            id="more than the largest node has",
        ),
        pytest.param(
            {"cpu": "8", "memory": "32Gi"},
            [f"{HERE}a pod asks for 8 cpu with 32Gi memory, no node has all of that; {FIX}"],
            id="more than any one node has",
        ),
        pytest.param(
            {"nvidia.com/gpu": "1"},
            [
                f"{HERE}a pod asks for 1 nvidia.com/gpu, the largest node has 0; {FIX}",
                f"this instance asks for 1 nvidia.com/gpu, all nodes together have 0; {FIX}",
            ],
            id="what no node has",
        ),
    ],
)
def test_what_no_node_can_hold_is_told_with_the_numbers(requests: dict[str, str], expected: list[str]) -> None:
    assert told(requests, [SMALL, LARGE]) == expected


def test_many_small_pods_may_be_more_than_the_cluster_holds() -> None:
    assert told({"cpu": "2"}, [SMALL, LARGE], replicas=18) == []
    assert told({"cpu": "2"}, [SMALL, LARGE], replicas=21) == [
        f"this instance asks for 42 cpu, all nodes together have 36; {FIX}",
        f"this instance asks for 21 pods, all nodes together have 20; {FIX}",
    ]


def test_only_the_nodes_of_the_placement_count() -> None:
    slow = Policies.model_validate({"pods": {"nodeSelector": {"disk": "slow"}}})
    assert told({"cpu": "8"}, [SMALL, LARGE], policies=slow) == [
        f"{HERE}a pod asks for 8 cpu, the largest node has 4; {FIX}",
        f"this instance asks for 8 cpu, all nodes together have 4; {FIX}",
    ]
    nowhere = f"{HERE}its pods must run where zone=a is, and no node has that; {FIX}"
    assert told({"cpu": "1"}, [SMALL, LARGE], nodeSelector={"zone": "a"}) == [nowhere]


def test_a_cluster_without_nodes_or_that_grows_by_itself_is_not_measured() -> None:
    assert told({"cpu": "640"}, []) == []
    assert told({"cpu": "640"}, [LARGE], policies=Policies(capacity="Unchecked")) == []


def test_a_quota_that_the_cluster_cant_hold_is_told_with_the_numbers() -> None:
    quota: dict[str, str | int] = {"cpu": 40, "requests.memory": "10Gi", "limits.cpu": 400, "pods": 10, "services": 99}
    plan = Plan(name="large", quota={"requests.memory": "1Ti"})
    found = beyond_quota(quota, plan, Policies(), [SMALL, LARGE])
    fix = "lower it, or set spec.policies.capacity: Unchecked where nodes come by themselves"
    assert [each.message for each in found] == [
        f"spec.policies.quota.cpu is 40, all nodes together have 36; {fix}",
        f"spec.plans[large].quota.requests.memory is 1Ti, all nodes together have 80Gi; {fix}",
    ]


def test_a_node_that_takes_no_pods_does_not_count() -> None:
    def node(**spec: Any) -> dict[str, Any]:
        return {"metadata": {"labels": {"a": "b"}}, "spec": spec, "status": {"allocatable": {"cpu": "3500m"}}}

    assert nodes_of([node(unschedulable=True), node()]) == [Node({"a": "b"}, {"cpu": Decimal("3.5")})]
