"""Translations at the real API server: it serves them, and takes what the original takes."""

import json
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.cluster import Cluster
from shared.errors import ApiError, Refused
from shared.jsonschemas import parse, structural
from shared.jsonschemas.drafts import draft_of
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, Resource
from tests.knative.kinds import served, until
from tests.shared.json_schemas import bitnami, documents, kubernetes, values

Case = tuple[dict[str, Any], list[Any]]


def crd(group: str, properties: dict[str, Any]) -> dict[str, Any]:
    spec = {"type": "object", "properties": properties}
    return {
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                }
            ],
        },
    }


async def publish(cluster: Cluster, properties: dict[str, Any], *, really: bool = False) -> Resource:
    group = f"t{uuid4().hex[:8]}.example.com"
    resource = Resource(group, "v1", "things", "Thing")
    if really:
        await cluster.create(CUSTOM_RESOURCE_DEFINITIONS, crd(group, properties))
        await until(lambda: served(cluster, resource))
        return resource
    typed = {"apiVersion": CUSTOM_RESOURCE_DEFINITIONS.api_version, "kind": CUSTOM_RESOURCE_DEFINITIONS.kind}
    path = CUSTOM_RESOURCE_DEFINITIONS.path()
    await cluster._request("POST", path, {"dryRun": "All"}, body=typed | crd(group, properties))
    return resource


async def order(cluster: Cluster, resource: Resource, spec: dict[str, Any]) -> None:
    """As kubectl does it, both ways; nothing is kept."""
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "one"}, "spec": spec}
    strict = {"dryRun": "All", "fieldValidation": "Strict"}
    await cluster._request("POST", resource.path("default"), strict, body=body)
    path, query = resource.path("default", "one"), strict | {"fieldManager": "test"}
    await cluster._request("PATCH", path, query, body=body, content_type="application/apply-patch+yaml")


def taken(case: Case) -> Case | None:
    document, found = case
    try:
        read = parse(json.dumps(document).encode(), "values.schema.json")
    except Refused:
        return None
    draft = draft_of(read)
    assert draft is not None
    try:
        valid = [value for value in found if draft.validator(read).is_valid({"x": value})]
    except RecursionError:
        valid = []
    return structural(read, ("x",)).schema, valid


async def refused(cluster: Cluster, found: list[Case]) -> list[tuple[Any, Any, str]]:
    """Of values that schemas should take, each under a property of its own."""
    resource = await publish(cluster, {f"p{i}": schema for i, (schema, _) in enumerate(found)}, really=True)
    wrong = []
    for i, (schema, valid) in enumerate(found):
        for value in valid:
            try:
                await order(cluster, resource, {f"p{i}": value})
            except ApiError as error:
                wrong.append((schema, value, error.message))
    await cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, f"things.{resource.group}")
    return wrong


def cases(count: int) -> list[Case]:
    """Translations with values that the original takes."""
    found: list[Case] = []

    @settings(max_examples=count, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(documents(), st.lists(values(), max_size=8))
    def collect(document: dict[str, Any], some: list[Any]) -> None:
        if case := taken((document, some)):
            found.append(case)

    collect()
    return found


TRAPS: list[Case] = [
    ({"enum": ["a", None]}, [None, "a"]),
    ({"enum": [1, None]}, [None, 1]),
    ({"enum": [80, "http", 1.0]}, [80, "http", 1, 1.0]),
    ({"enum": [True, "a", 1.5]}, [True, "a", 1.5]),
    ({"type": "number", "exclusiveMaximum": 1.5}, [1, 1.4, -3]),
    ({"type": "number", "exclusiveMinimum": -1.5}, [-1, -1.4]),
    ({"type": "integer", "maximum": 2**53 + 1, "minimum": -(2**53) - 1}, [2**53 + 1, -(2**53) - 1]),
    ({"type": "integer", "maximum": 2**63 - 1}, [2**63 - 1]),
    ({"type": "number", "multipleOf": 0.5}, [1, 1.5]),
    ({"type": "integer"}, [1.0, 5]),
    ({"format": "password"}, ["a", 1, [1], {"a": 1}, None]),
    ({"properties": {"a": {"type": "string"}}}, ["text", 1, [1], None, {"a": "b", "c": 1}]),
    ({"type": ["string", "object", "array"], "items": {"type": "integer"}}, ["text", [1], {"a": [1]}]),
    ({"type": ["integer", "string", "null"], "pattern": "^a", "minimum": 3}, ["ab", 4, None]),
    ({"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}}, [None, {"a": None}]),
    ({"type": "string", "allOf": [{"pattern": "a"}, {"pattern": "b"}]}, ["ab", "ba"]),
    ({"type": "string", "format": "date-time", "maxLength": 2**70}, ["yesterday"]),
    ({"type": "object", "properties": {"": {"type": "string"}, "a/b~.c": {}}}, [{"": "x", "a/b~.c": [1]}]),
]


async def test_the_api_server_s_own_ways_make_nothing_stricter(cluster: Cluster) -> None:
    found = [
        case
        for document, some in TRAPS
        if (
            case := taken(({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": document}}, some))
        )
    ]
    assert [valid for _, valid in found] == [some for _, some in TRAPS]
    assert await refused(cluster, found) == []


async def test_large_translations_are_served(cluster: Cluster) -> None:
    pod = {"properties": {"pod": {"$ref": "#/definitions/io.k8s.D0"}}, "definitions": kubernetes(300)}
    for document in (pod, bitnami(1500)):
        await publish(cluster, structural(parse(json.dumps(document).encode(), "f")).schema["properties"])


async def test_the_api_server_serves_translations_and_takes_what_the_originals_take(cluster: Cluster) -> None:
    found = cases(600)
    assert sum(len(valid) for _, valid in found) > len(found) / 2
    assert await refused(cluster, found) == []
