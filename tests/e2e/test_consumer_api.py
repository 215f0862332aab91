"""The consumer API on the real stack: what can be said, what can't, what `kubectl` shows."""

import base64
import json
import os
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

from shared import statuses
from shared.folder import pack
from shared.resources import CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, SECRETS
from tests.e2e.world import Serve, World

CHARTS = Path(__file__).parents[1] / "charts"

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


async def test_what_a_crd_can_t_say_is_said_when_an_order_is_admitted(world: World, serve: Serve) -> None:
    await world.offered("Listener", {"url": serve(pack(CHARTS / "schematic", "schematic"))})
    await world.order("Listener", "one", tls={"mode": "mutual"})
    said = await world.says("Listener", "one", "Accepted", "ValuesRefused")
    assert "secretName" in said["message"]
    await world.order("Listener", "one", tls={"mode": "mutual", "secretName": "mine"})
    await world.ready("Listener", "one")


async def test_the_command_prints_a_sample_that_can_be_ordered_and_what_parameters_reach(world: World) -> None:
    name = await world.offered("Database", "postgres", parameters=PARAMETERS)

    async def mapped() -> bool:
        found = await world.cluster.get(CONFIG_MAPS, f"offering-{name}", "chandlery")
        return "parameters.yaml" in (found or {}).get("data", {})

    await world.eventually(mapped, "what parameters reach is known")
    manifest = chandlery(world, "sample", name).replace("my-namespace", world.namespace)
    world.kubectl("apply", "-f", "-", given=manifest)
    await world.ready("Database", "my-database")
    shown = chandlery(world, "parameters", name)
    assert "StatefulSet/$(release.name)-postgres spec.replicas" in shown
    assert "not tried: it names a Secret" in shown


def chandlery(world: World, *arguments: str) -> str:
    environment = {**os.environ, "KUBECONFIG": str(world.stack.layout.kubeconfig), "COLUMNS": "200"}
    command = [str(world.stack.layout.bin / "chandlery"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


async def test_an_api_of_an_older_chandlery_gets_todays_status(world: World) -> None:
    """Functions write it by now, and the API server drops what a schema does not know."""
    await world.offered("Database", "hello")
    await older(world)
    await world.eventually(partial(renewed, world), "the API has today's status")


async def test_instances_of_an_offering_that_is_refused_get_todays_status_too(world: World) -> None:
    await world.offered("Database", "hello")
    await world.offer("Database", {"url": "file:///examples/charts/none"})
    await world.offering_says("Database", "ChartReady", "ChartNotFound")
    await older(world)
    await world.eventually(partial(renewed, world), "the API has today's status")
    await world.offering_says("Database", "ChartReady", "ChartNotFound")


async def older(world: World) -> None:
    """Its API is as an older Chandlery published it."""
    field = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/notes"
    patch = json.dumps([{"op": "remove", "path": field}])
    world.kubectl("patch", "crd", crd_of(world), "--type=json", "-p", patch)
    edition = json.dumps({"status": {"api": {"statusEdition": "older"}}})
    offering = world.offering_name("Database")
    world.kubectl("patch", "offering", offering, "--subresource=status", "--type=merge", "-p", edition)


async def renewed(world: World) -> bool:
    found = await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, crd_of(world)) or {}
    status = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    api = (await world.offering("Database") or {})["status"]["api"]
    return "notes" in status["properties"] and api["statusEdition"] == statuses.EDITION


def crd_of(world: World) -> str:
    return f"{world.kind('Database').plural}.{world.kind('Database').group}"
