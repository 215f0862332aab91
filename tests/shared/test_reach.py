"""What another value of a parameter is, and what it is found to reach."""

import asyncio
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.differences import unstable
from shared.dossier import fitted
from shared.helm import HelmFailed
from shared.leaves import Leaf, leaves_of
from shared.offering import Parameter, Values
from shared.reach import OUT_OF_TIME, Reached, Search
from shared.values import get
from shared.vary import others
from tests.rendering import object_, text


@pytest.mark.parametrize(
    ("schema", "current", "first"),
    [
        pytest.param({"type": "string", "enum": ["a", "b"]}, "a", "b", id="another of an enum"),
        pytest.param({"type": "boolean"}, True, False, id="flipped"),
        pytest.param({"type": "boolean"}, None, True, id="a boolean that is not there"),
        pytest.param({"type": "integer", "maximum": 3}, 3, 2, id="within bounds"),
        pytest.param({"type": "integer"}, 80, 81, id="a port"),
        pytest.param({"type": "number", "multipleOf": 0.5}, 1.5, 2, id="a step"),
        pytest.param({"type": "integer", "minimum": 7}, None, 8, id="a number that is not there"),
        pytest.param({"type": "string"}, "8Gi", "9Gi", id="a quantity"),
        pytest.param({"type": "string"}, "5m", "6m", id="a duration"),
        pytest.param({"type": "string"}, "5432", "5433", id="a port as text"),
        pytest.param({"type": "string"}, "1.2.3", "1.2.4", id="a version"),
        pytest.param({"type": "string"}, "https://a.example.com/", "https://a.example.com/sample", id="a URL"),
        pytest.param({"type": "string"}, "a.example.com", "sample.a.example.com", id="a host"),
        pytest.param({"type": "string"}, "web", "webx", id="a name"),
        pytest.param({"type": "string"}, "library/nginx", "library/nginx-sample", id="a repository"),
        pytest.param({"type": "string"}, "ClusterIP", "NodePort", id="a known word"),
        pytest.param({"type": "string"}, "a: 1\nb: 2\n", "a: 1\nb: 2\n# sample\n", id="a text of lines"),
        pytest.param({"type": "string"}, "", "sample", id="an empty text"),
        pytest.param({"type": "string", "maxLength": 1}, "", "1", id="a short text"),
        pytest.param({"type": "string", "format": "ipv4"}, "", "192.0.2.7", id="a format"),
        pytest.param({"type": "array", "items": {"type": "string"}}, ["a"], ["a", "ax"], id="one more text"),
        pytest.param({"type": "array", "items": {"type": "integer"}}, [], [1], id="a first number"),
        pytest.param({"type": "object"}, {}, {"sample": "sample"}, id="a first entry"),
        pytest.param({"type": "object"}, {"a": {"b": 1}}, {"a": {"b": 1}, "sample": {"b": 1}}, id="one more entry"),
        pytest.param(
            {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
            [],
            [{"n": 1}],
            id="a first map",
        ),
        pytest.param({"type": "string", "enum": ["a"]}, "a", None, id="no other"),
        pytest.param({}, None, "sample", id="of unknown type"),
    ],
)
def test_another_value_is_of_the_type_and_alike(schema: dict[str, Any], current: Any, first: Any) -> None:
    assert next(iter(others(schema, current)), None) == first


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False, width=16),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(["string", "integer", "number", "boolean", "array", "object", None]),
)
def test_another_value_is_another_one(current: Any, kind: str | None) -> None:
    found = others({"type": kind} if kind else {}, current)
    assert current not in [each for each in found if type(each) is type(current)]
    assert len(found) <= 3


def test_a_parameter_goes_where_its_path_says() -> None:
    schema = {
        "properties": {
            "storage": {"type": "string"},
            "web": {"properties": {"port": {"type": "integer"}}},
            "password": {"properties": {"name": {}, "key": {}}},
            "size": {"type": "string"},
        }
    }
    parameters = [
        Parameter(path="primary.size", name="storage"),
        Parameter(path="server", name="web"),
        Parameter(path="auth.password", name="password", secret=True),
        Parameter(path="size"),
    ]
    effective = {"primary": {"size": "8Gi"}, "server": {"port": 80}, "size": "s"}
    found = leaves_of(schema, parameters, effective, {"spec.values": {"size": "s"}})
    assert [(leaf.shown, leaf.path, leaf.current, leaf.secret, leaf.fixed) for leaf in found] == [
        ("storage", ("primary", "size"), "8Gi", False, None),
        ("web.port", ("server", "port"), 80, False, None),
        ("password", ("auth", "password"), None, True, None),
        ("size", ("size",), "s", False, "spec.values"),
    ]


class Chart:
    """A chart as a function: every value in a field of its own, an Ingress when asked for."""

    def __init__(self) -> None:
        self.rendered = 0

    async def render(self, spec: Values) -> str:
        self.rendered += 1
        if get(spec, ("mood",)) == "badx":
            raise HelmFailed("TemplateFailed", "mood must be good")
        password = get(spec, ("password",)) or f"random{self.rendered}"
        made = [object_("ConfigMap", data={"a": get(spec, ("a",)), "mood": "good"})]
        made.append(object_("Secret", data={"password": password}))
        if get(spec, ("ingress", "enabled")):
            made.append(object_("Ingress", spec={"host": get(spec, ("ingress", "host"))}))
        return text(*made)


def leaf(name: str, kind: str = "string", current: Any = None, **more: Any) -> Leaf:
    path = tuple(name.split("."))
    return Leaf(path, path, {"type": kind}, current, **more)


async def found_by(chart: Chart, *parameters: Leaf, seconds: float = 60) -> dict[str, Reached]:
    base = await chart.render({})
    apart = unstable(base, await chart.render({}))
    return await Search(chart.render, base, {}, apart, time.monotonic() + seconds).all(parameters)


async def test_what_a_parameter_reaches() -> None:
    found = await found_by(
        Chart(),
        leaf("a"),
        leaf("password"),
        leaf("mood", current="bad"),
        leaf("idle"),
        leaf("ingress.enabled", "boolean", False),
        leaf("ingress.host"),
        leaf("ingress.idle"),
        leaf("key", secret=True),
        leaf("plan", fixed="spec.values"),
    )
    assert found == {
        "a": Reached(("ConfigMap/x data.a",)),
        "password": Reached(("Secret/x data.password",)),
        "mood": Reached(),
        "idle": Reached(),
        "ingress.enabled": Reached(("Ingress/x +",)),
        "ingress.host": Reached(("Ingress/x spec.host",), "ingress.enabled is true"),
        "ingress.idle": Reached(),
        "key": Reached(not_tried="it names a Secret, which is read when an instance is installed"),
        "plan": Reached(fixed="spec.values"),
    }


async def test_what_never_renders_was_not_tried() -> None:
    one = Leaf(("mood",), ("mood",), {"enum": ["badx"]}, "good")
    found = await found_by(Chart(), one)
    assert found == {"mood": Reached(not_tried="it does not render with 'badx': mood must be good")}


async def test_many_idle_parameters_cost_few_renderings() -> None:
    chart = Chart()
    parameters = [leaf(f"idle{number}") for number in range(64)] + [leaf("a")]
    found = await found_by(chart, *parameters)
    assert [name for name, reached in found.items() if reached.changes] == ["a"]
    assert chart.rendered < 30


async def test_what_there_was_no_time_for_is_said() -> None:
    found = await found_by(Chart(), leaf("a"), leaf("b"), seconds=-1)
    assert found == {name: Reached(not_tried=OUT_OF_TIME) for name in ("a", "b")}


async def test_what_was_not_tried_with_its_switch_on_is_no_idle_parameter() -> None:
    switch, host = leaf("ingress.enabled", "boolean", False), leaf("ingress.host")
    search = Search(Chart().render, "", {}, unstable("", ""), deadline=-1)
    search.found = {"ingress.host": Reached()}
    await search.switched([host], [switch, host])
    said = "with ingress.enabled off it does nothing; the time for this ran out"
    assert search.found == {"ingress.host": Reached(not_tried=said)}


async def test_a_search_ends_with_its_time() -> None:
    chart = Chart()

    async def slowly(spec: Values) -> str:
        await asyncio.sleep(0.05)
        return await chart.render(spec)

    base = await chart.render({})
    started = time.monotonic()
    search = Search(slowly, base, {}, unstable(base, base), started + 0.2)
    found = await search.all([leaf(f"p{number}") for number in range(200)])
    assert time.monotonic() - started < 1
    assert {reached.not_tried for reached in found.values()} >= {OUT_OF_TIME}


def test_what_is_too_long_is_cut_and_says_so() -> None:
    document = {"parameters": {f"p{number}": {"reaches": ["x" * 50] * 20} for number in range(2000)}}
    cut = fitted(document, 100_000)
    assert len(cut.encode()) <= 100_000
    assert "were left out" in cut
    assert fitted({"a": [1]}, 100) == "a:\n- 1\n"
