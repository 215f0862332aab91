"""Charts with every difficulty we know of: the schema they get, on a real API server and with the real Helm."""

import json
import subprocess
from typing import Any
from uuid import uuid4

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.cluster import Cluster
from shared.errors import Invalid
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource
from shared.schema import api_for
from shared.structural import properties
from shared.validity import breaks
from shared.values import Path, consumer_values, get, leaves, nest
from tests.builders import offering
from tests.shared import golden
from tests.shared.archives import chart_with
from tests.shared.test_selection import MAPS


@pytest.mark.parametrize("name", golden.NAMES)
def test_a_chart_gets_the_schema_that_was_approved(name: str) -> None:
    assert golden.written(name) == (golden.GOLDEN / f"{name}.yaml").read_text()


@pytest.mark.parametrize("name", golden.NAMES)
def test_the_chart_s_own_values_pass(name: str) -> None:
    assert breaks(golden.chart(name).values, golden.everything(name).schema) == []


def rendered(tools: dict[str, str], name: str, values: dict[str, Any]) -> dict[str, Any]:
    """The values that the chart's templates see, by the object that shows them."""
    done = subprocess.run(
        [tools["helm"], "template", "it", str(golden.CHARTS / name), "--values", "-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=True,
    )
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    return {each["metadata"]["name"]: each["data"] for each in objects}


@pytest.mark.parametrize("name", golden.NAMES)
def test_an_empty_order_renders_what_the_chart_renders_and_one_choice_changes_that_alone(
    name: str, tools: dict[str, str]
) -> None:
    selection = golden.everything(name)
    plain = rendered(tools, name, {})
    assert rendered(tools, name, consumer_values(None, {})) == plain
    before = yaml.safe_load(plain["it"]["values.yaml"])
    for path in some_strings(selection.schema):
        after = yaml.safe_load(rendered(tools, name, consumer_values(None, nest(path, "changed")))["it"]["values.yaml"])
        changed = {each for each, value in leaves(after) if get(before, each) != value}
        assert changed == {path}


def some_strings(schema: dict[str, Any]) -> list[Path]:
    """Values of the chart itself that take any text."""
    plain = [path for path, each in properties(schema) if each.get("type") == "string" and not each.keys() & LIMITS]
    return [path for path in plain if path[0] != "queryCache"][:4]


LIMITS = {"enum", "pattern"}


@pytest.mark.parametrize("name", golden.NAMES)
async def test_the_api_server_takes_the_api_and_orders_with_all_the_defaults(name: str, cluster: Cluster) -> None:
    group = f"g{uuid4().hex[:8]}.example.com"
    api = api_for(offering(api={"group": group, "kind": "Golden"}), golden.chart(name))
    await served(cluster, api.crd)
    values = json.loads(json.dumps(golden.chart(name).values))
    kind = Resource(group, "v1alpha1", "goldens", "Golden")
    await cluster.create(kind, {"metadata": {"name": "all", "namespace": "default"}, "spec": values})
    found = await cluster.get(kind, "all", "default")
    assert found is not None
    assert {path: value for path, value in leaves(found["spec"]) if get(values, path) != value} == {}
    for text in ("spec: {}", api.sample):
        order = {**yaml.safe_load(text), "metadata": {"name": f"s{uuid4().hex[:6]}", "namespace": "default"}}
        await cluster.create(kind, {key: order[key] for key in ("metadata", "spec")})
    await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, api.crd["metadata"]["name"])


async def served(cluster: Cluster, crd: dict[str, Any]) -> None:
    """Without the label by which our own event source would follow it."""
    crd = {**crd, "metadata": {"name": crd["metadata"]["name"]}}
    applied = await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, crd, "test")
    version = applied["metadata"]["resourceVersion"]
    name = {"metadata.name": crd["metadata"]["name"]}
    async with cluster.watch(CUSTOM_RESOURCE_DEFINITIONS, version, fields=name) as changes:
        async for _, seen in changes:
            established = [each["type"] for each in seen["status"]["conditions"] or [] if each["status"] == "True"]
            if "Established" in established:
                return


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(trees=st.lists(MAPS, min_size=10, max_size=20))
async def test_the_api_server_takes_the_schema_of_any_values(trees: list[dict[str, Any]], cluster: Cluster) -> None:
    declared = {f"t{number}": tree for number, tree in enumerate(trees)}
    group = f"p{uuid4().hex[:8]}.example.com"
    api = api_for(offering(api={"group": group, "kind": "Any"}), chart_with(declared))
    try:
        await cluster.apply(CUSTOM_RESOURCE_DEFINITIONS, {**api.crd, "metadata": {"name": f"anies.{group}"}}, "test")
    except Invalid as invalid:
        raise AssertionError(invalid.message) from invalid
    finally:
        await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, f"anies.{group}")
