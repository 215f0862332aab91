"""What a chart's own schemas say of an order."""

import json
from typing import Any

import pytest

from shared.charts import inspect
from shared.schemas import schemas_of, switched_on
from tests.shared.archives import CHART, chart

SCHEMA = json.dumps(
    {
        "properties": {"mode": {"enum": ["fast", "safe"]}, "keep": {"type": "integer"}},
        "if": {"properties": {"mode": {"const": "safe"}}},
        "then": {"required": ["keep"]},
    }
)
PARENT = f"{CHART}dependencies: [{{name: cache, version: 1.0.0, condition: cache.enabled}}]\n"


def objections(fixed: dict[str, Any], given: dict[str, Any]) -> list[str]:
    content = chart(
        Chart_yaml=PARENT,
        values_yaml="cache: {enabled: true, mode: fast}\n",
        charts__cache__Chart_yaml="apiVersion: v2\nname: cache\nversion: 1.0.0\n",
        charts__cache__values_schema_json=SCHEMA,
    )
    return schemas_of(inspect(content)).objections(fixed, given)


def test_an_order_is_held_against_the_schema_of_a_subchart_where_its_values_stand() -> None:
    assert objections({}, {"cache": {"mode": "fast"}}) == []
    (said,) = objections({}, {"cache": {"mode": "safe"}})
    assert said.startswith("values.cache")
    assert objections({}, {"cache": {"mode": "safe", "keep": 1}}) == []


def test_what_is_wrong_without_the_order_is_not_the_order_s_fault() -> None:
    assert objections({"cache": {"mode": "safe"}}, {"cache": {"mode": "safe"}}) == []


def test_a_subchart_that_is_switched_off_is_not_asked() -> None:
    assert objections({}, {"cache": {"mode": "safe", "enabled": False}}) == []


@pytest.mark.parametrize(
    ("switches", "values", "on"),
    [
        ((), {}, True),
        ((("a", "on"),), {"a": {"on": False}}, False),
        ((("a", "on"), ("b", "on")), {"a": {"on": None}, "b": {"on": False}}, False),
        ((("a", "on"), ("tags", "t")), {"a": {"on": True}, "tags": {"t": False}}, True),
        ((("tags", "t"), ("tags", "u")), {"tags": {"t": False, "u": True}}, True),
        ((("tags", "t"), ("tags", "u")), {"tags": {"t": False}}, False),
        ((("a", "on"),), {"a": {"on": "yes"}}, True),
    ],
    ids=["nothing", "off", "the next condition", "condition before tags", "any tag", "no tag", "no boolean"],
)
def test_a_subchart_is_switched_as_helm_does(switches: Any, values: dict[str, Any], on: bool) -> None:
    assert switched_on(switches, values) is on
