"""The consumer API that follows from an Offering and a chart's values."""

from typing import Any

import pytest

from shared.errors import Refused
from shared.schema import api_for
from tests.builders import offering
from tests.shared.archives import chart_with

VALUES: dict[str, Any] = {
    "replicaCount": 1,
    "image": {"repository": "nginx", "tag": ""},
    "primary": {"persistence": {"size": "8Gi", "enabled": True}},
    "extraEnv": [],
    "ports": [80, 443],
    "nodeSelector": {},
    "existingSecret": None,
    "ratio": 0.5,
    "x.y": "dotted",
}


def spec_of(values: dict[str, Any] = VALUES, **spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = schema_of(values, **spec)["properties"]["spec"]
    return found


def schema_of(values: dict[str, Any] = VALUES, **spec: Any) -> dict[str, Any]:
    crd = api_for(offering(**spec), chart_with(values)).crd
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def test_only_parameters_are_exposed_under_the_names_the_provider_gave() -> None:
    found = spec_of(
        parameters=[
            {"path": "primary.persistence.size", "name": "storage", "description": "Disk", "pattern": "^[0-9]+Gi$"},
            {"path": "replicaCount", "minimum": 1, "maximum": 5, "default": 2},
            {"path": '["x.y"]', "name": "dotted", "enum": ["a", "b"], "immutable": True, "required": True},
        ]
    )
    assert found == {
        "type": "object",
        "description": "What you choose of this Database.",
        "required": ["dotted"],
        "properties": {
            "storage": {"type": "string", "description": 'Disk\nDefault: "8Gi"', "pattern": "^[0-9]+Gi$"},
            "replicaCount": {
                "type": "integer",
                "description": "Default: 2",
                "minimum": 1,
                "maximum": 5,
                "default": 2,
            },
            "dotted": {
                "type": "string",
                "description": 'Default: "dotted"',
                "enum": ["a", "b"],
                "x-kubernetes-validations": [
                    {"rule": "self == oldSelf", "message": "can't be changed once the instance was made"}
                ],
            },
        },
    }


def test_the_chart_s_defaults_are_told_and_not_set() -> None:
    assert "default" not in spec_of()["properties"]["replicaCount"]


def test_plans_add_a_field_of_their_own() -> None:
    found = spec_of(
        parameters=[], plans=[{"name": "small", "description": "One pod"}, {"name": "large", "default": True}]
    )
    assert found["properties"] == {
        "plan": {"type": "string", "enum": ["small", "large"], "default": "large", "description": "small: One pod"}
    }


@pytest.mark.parametrize(
    ("parameters", "reason", "words"),
    [
        ([{"path": "replicaCont"}], "UnknownParameter", r"spec\.parameters\[0\]\.path.*did you mean replicaCount\?"),
        ([{"path": "nothing.like.it"}], "UnknownParameter", "give its type"),
        ([{"path": "a["}], "InvalidPath", r"spec\.parameters\[0\]\.path"),
        ([{"path": "replicaCount"}, {"path": "replicaCount"}], "DuplicateParameter", r"spec\.parameters\[1\]"),
        ([{"path": "replicaCount"}, {"path": "ratio", "name": "replicaCount.x"}], "DuplicateParameter", "lies inside"),
        (
            [{"path": "replicaCount", "enum": [1, 2], "default": 3}],
            "InvalidParameter",
            r"parameters\[0\]\.default: must be one of",
        ),
    ],
)
def test_a_parameter_that_can_t_be_is_refused_with_field_and_fix(parameters: Any, reason: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        spec_of(parameters=parameters)
    assert refused.value.reason == reason


def test_a_value_the_chart_reads_without_declaring_it_needs_a_type() -> None:
    assert spec_of(parameters=[{"path": "hidden.flag", "type": "boolean"}])["properties"] == {
        "hidden": {"type": "object", "properties": {"flag": {"type": "boolean"}}}
    }


def test_a_required_parameter_makes_its_parents_required_up_to_the_spec() -> None:
    schema = schema_of(parameters=[{"path": "image.repository", "required": True}])
    assert schema["required"] == ["spec"]
    assert schema["properties"]["spec"]["required"] == ["image"]
    assert schema["properties"]["spec"]["properties"]["image"]["required"] == ["repository"]
