"""When an Offering is Ready, and what it says while it is not."""

from typing import Any

import pytest

from functions.grant_access import current, obstacle
from shared import granting, rights
from tests.builders import condition, offering


def told(*conditions: dict[str, Any], generation: int = 2) -> Any:
    return offering(generation=generation, status={"conditions": [*conditions]})


YES = [condition("ChartReady", generation=2), condition("Published", generation=2)]
NO_CHART = condition("ChartReady", "False", "ChartNotFound", generation=2)
NO_API = condition("Published", "False", "NameTaken", generation=2)


@pytest.mark.parametrize(
    ("conditions", "speaks", "reason"),
    [
        (YES, True, None),
        ([NO_CHART, condition("Published", generation=1)], True, "ChartNotFound"),
        ([NO_CHART], True, "ChartNotFound"),
        ([YES[0], NO_API], True, "NameTaken"),
        ([YES[0]], False, None),
        ([YES[0], condition("Published", generation=1)], False, None),
        ([condition("ChartReady", generation=1), YES[1]], False, None),
        ([], False, None),
    ],
    ids=["all", "no chart, an older api", "no chart", "no api", "not yet", "older api", "older chart", "new"],
)
def test_the_first_obstacle_is_told(conditions: list[dict[str, Any]], speaks: bool, reason: str | None) -> None:
    found = told(*conditions)
    assert current(found) == speaks
    said = obstacle(found)
    assert (said.reason if said else None) == reason


def test_a_part_of_a_role_goes_after_it() -> None:
    part, whole, binding = rights.of_helm(offering(), rights.Reviewed(), None, None)
    made = [whole | {"metadata": whole["metadata"] | {"uid": "r-1"}}]
    owner = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "uid": "r-1"}
    assert granting.beneath(part, made)["metadata"]["ownerReferences"] == [
        owner | {"name": "chandlery:release:database"}
    ]
    assert granting.beneath(binding, made) == binding
    assert granting.targets([part, whole, binding]) == {
        "chandlery:release:database": part["rules"],
        "chandlery-bindings": binding["rules"],
    }


def test_the_functions_see_the_kind_and_those_its_chart_brings() -> None:
    instances, charts = rights.of_functions(offering(), served=True, brought={("acme.io", "widgets")})
    assert instances == {
        "metadata": {
            "name": "chandlery:instances:database",
            "labels": {
                "app.kubernetes.io/managed-by": "chandlery",
                "chandlery.dev/offering": "database",
                "chandlery.dev/aggregate-to-instances": "true",
            },
            "ownerReferences": [
                {"apiVersion": "chandlery.dev/v1alpha1", "kind": "Offering", "name": "database", "uid": "o-1"}
            ],
        },
        "rules": [
            {
                "apiGroups": ["acme.example.com"],
                "resources": ["databases", "databases/status"],
                "verbs": ["get", "list", "watch", "patch"],
            }
        ],
    }
    assert charts["rules"] == [{"apiGroups": ["acme.io"], "resources": ["widgets"], "verbs": ["list"]}]
    assert rights.of_functions(offering(), served=False, brought=()) == []
