"""The consumer API on the real stack: what can be said, what can't, what `kubectl` shows."""

import base64
from typing import Any

from shared.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, SECRETS
from tests.e2e.world import World

PARAMETERS: list[dict[str, Any]] = [
    {"path": "auth.password", "name": "password", "secret": True},
    {"path": "primary.persistence.size", "name": "storage", "immutable": True, "column": True},
    {"path": "primary.replicaCount", "name": "replicas", "minimum": 1, "maximum": 3, "default": 1},
    {"path": "primary.persistence.*"},
]


async def release_secret(world: World, namespace: str) -> set[str]:
    found = (await world.cluster.list(SECRETS, namespace))["items"]
    own = [each for each in found if each["type"] == "Opaque"]
    return {base64.b64decode(value).decode() for each in own for value in each["data"].values()}


async def keep(world: World, password: str) -> None:
    body = {"metadata": {"name": "mine", "namespace": world.namespace}, "stringData": {"word": password}}
    await world.cluster.apply(SECRETS, body, "consumer")


async def test_a_value_can_stay_in_the_consumer_s_secret(world: World) -> None:
    await world.offered("Database", "postgres", parameters=PARAMETERS)
    await world.order("Database", "orders", password={"name": "mine", "key": "word"})
    said = await world.says("Database", "orders", "Accepted", "SecretNotFound")
    assert said["message"].startswith(f"spec.password: namespace {world.namespace} has no Secret mine")

    await keep(world, "first")
    ready = await world.ready("Database", "orders")
    release = ready["status"]["release"]
    assert await release_secret(world, release["namespace"]) == {"first"}
    assert "first" not in str(ready)

    await keep(world, "second")

    async def followed() -> bool:
        found = await world.instance("Database", "orders")
        return bool(found and found["status"]["release"]["revision"] == 2)

    await world.eventually(followed, "the release follows the Secret", lambda: world.instance("Database", "orders"))


async def test_kubectl_shows_and_keeps_the_rules(world: World) -> None:
    name = await world.offered("Database", "postgres", parameters=PARAMETERS)
    await world.order("Database", "orders", storage="5Gi")
    kind = world.kind("Database")
    plural = f"{kind.plural}.{kind.group}"
    await world.ready("Database", "orders")
    shown = world.kubectl("-n", world.namespace, "get", plural).splitlines()
    assert shown[0].split()[:3] == ["NAME", "STORAGE", "READY"]
    assert shown[1].split()[:3] == ["orders", "5Gi", "True"]

    kubectl = ("-n", world.namespace, "patch", plural, "orders", "--type=merge", "-p")
    for spec, words in (
        ('{"spec": {"storage": "6Gi"}}', "spec.storage: Invalid value"),
        ('{"spec": {"storage": null}}', "spec.storage: Invalid value: can't be changed once the instance was made"),
        ('{"spec": {"replicas": 4}}', "should be less than or equal to 3"),
    ):
        assert words in world.kubectl(*kubectl, spec, fails=True)

    offering = await world.offering("Database")
    assert offering is not None
    documents = await world.cluster.get(CONFIG_MAPS, offering["status"]["api"]["documentation"], "chandlery")
    assert documents is not None
    assert "  # storage: " in documents["data"]["sample.yaml"]
    assert offering["metadata"]["name"] == name
    crd = await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, plural)
    assert crd is not None
