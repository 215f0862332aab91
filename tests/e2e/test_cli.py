"""What people see of their instances with `chandlery`: administrators, providers, consumers."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.resources import CONSUMERS, OFFERINGS, PODS, PROVIDERS
from tests.cli.typed import Answer, typed
from tests.e2e.kubelet import kubelet
from tests.e2e.test_access import Access
from tests.e2e.world import World

Object = dict[str, Any]


@pytest.fixture
async def access(world: World, tmp_path: Path) -> AsyncIterator[Access]:
    found = Access(world, tmp_path)
    yield found
    await found.close()


async def chandlery(kubeconfig: Path, *arguments: str) -> Answer:
    return await asyncio.to_thread(typed, kubeconfig, *arguments)


async def read(kubeconfig: Path, *arguments: str) -> Any:
    answer = await chandlery(kubeconfig, *arguments, "-o", "json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


async def ordered(world: World, chart: str = "postgres", **spec: Any) -> tuple[str, str]:
    """The Offering's name and the release namespace of its instance `one`."""
    name = await world.offered("Database", chart, **spec)
    await world.order("Database", "one")
    found = await world.ready("Database", "one")
    return name, found["status"]["release"]["namespace"]


async def test_an_administrator_sees_everything(world: World) -> None:
    admin = world.stack.layout.kubeconfig
    name, release = await ordered(world)
    offerings = {each["name"]: each for each in await read(admin, "offerings")}
    assert offerings[name]["reason"] == "Published"
    rows = await read(admin, "instances", "--offering", name, "--all")
    assert [(each["namespace"], each["name"], each["ready"], each["releaseNamespace"]) for each in rows] == [
        (world.namespace, "one", "True", release)
    ]
    again = await read(admin, "instances", "-n", world.namespace)
    assert [each | {"age": ""} for each in again] == [each | {"age": ""} for each in rows]
    assert await read(admin, "instances", "-n", "default") == []

    kind = f"databases.{world.kind('Database').group}"
    page = await read(admin, "describe", f"{kind}/one", "-n", world.namespace)
    assert {each["type"]: each["status"] for each in page["conditions"]} == dict.fromkeys(
        ("Accepted", "Isolated", "Deployed", "Ready"), "True"
    )
    assert page["release"]["namespace"] == release
    assert [(each["revision"], each["status"]) for each in page["history"]] == [(1, "deployed")]
    assert {each["name"]: each["health"] for each in page["resources"]} == {
        "configmap/one-postgres": "Current",
        "secret/one-postgres": "Current",
        "service/one-postgres": "Current",
        "service/one-postgres-headless": "Current",
        "statefulset.apps/one-postgres": "Current",
    }
    assert page["events"], "those of its pods at least"
    assert (page["next"], page["notVisible"]) == ([], [])

    tree = await read(admin, "resources", f"{world.namespace}/one")
    (home,) = tree["owns"]
    assert home["object"] == f"Namespace {release}"
    by_chart = {each["object"]: each for each in home["owns"][0]["owns"]}
    owned = by_chart["StatefulSet one-postgres"]["owns"]
    assert "Pod one-postgres-0" in [each["object"] for each in owned]
    assert "Secret sh.helm.release.v1.one.v1" in [each["object"] for each in home["owns"][1]["owns"]]


async def test_kubectl_finds_it_as_its_plugin(world: World) -> None:
    await ordered(world, "hello")
    paths = {"PATH": f"{world.stack.layout.bin}{os.pathsep}{os.environ['PATH']}"}
    done = await asyncio.to_thread(
        subprocess.run,
        ["kubectl", "chandlery", "instances", "-n", world.namespace],
        env={**os.environ, **paths, "KUBECONFIG": str(world.stack.layout.kubeconfig)},
        capture_output=True,
        text=True,
        check=True,
    )
    heading, row = done.stdout.splitlines()
    assert heading.split()[:4] == ["NAMESPACE", "NAME", "KIND", "PLAN"]
    assert row.split()[:2] == [world.namespace, "one"]


async def test_a_consumer_sees_its_own_and_is_told_what_it_may_not_see(access: Access) -> None:
    world = access.world
    name = await world.offered("Database", "postgres")
    await access.consumer("a", name)
    home = access.name("a")
    alice = await access.as_(CONSUMERS, "a")
    kubeconfig = await access.kubeconfig(CONSUMERS, "a")
    await alice.create(world.kind("Database"), {"metadata": {"name": "one", "namespace": home}, "spec": {}})

    async def ready() -> bool:
        return [each["ready"] for each in await read(kubeconfig, "instances")] == ["True"]

    await world.eventually(ready, "in the namespace of its kubeconfig")
    everywhere = await chandlery(kubeconfig, "instances", "--all")
    assert everywhere.code == 0
    (hidden,) = [line for line in everywhere.err.splitlines() if "not visible to you: " in line]
    assert hidden.endswith("in the whole cluster")
    assert world.kind("Database").plural in hidden.partition(": ")[2]

    answer = await chandlery(kubeconfig, "describe", "one")
    assert answer.code == 0, answer.err
    assert "Not visible to you" in answer.out
    assert "not visible to you" in next(line for line in answer.out.splitlines() if "statefulset.apps/one" in line)
    page = await read(kubeconfig, "describe", "one")
    (hidden,) = page["notVisible"]
    assert hidden.endswith(f"in namespace {page['release']['namespace']}")
    assert {"pods", "secrets", "events"} <= {each.strip(",") for each in hidden.split()}
    assert {each["health"] for each in page["resources"]} == {"?"}

    tree = await chandlery(kubeconfig, "resources", "one")
    assert tree.code == 0
    assert "not visible to you: " in tree.err
    assert "is gone" not in tree.out
    logs = await chandlery(kubeconfig, "logs", "one")
    assert (logs.code, logs.out) == (1, "")
    assert "spec.consumerAccess.logs" in logs.err
    for command in (["offerings"], ["doctor"]):
        answer = await chandlery(kubeconfig, *command)
        assert "not visible to you" in answer.out + answer.err
    for command in (["instances", "--offering", name], ["describe", f"offering/{name}"]):
        answer = await chandlery(kubeconfig, *command)
        assert answer.code == 1
        assert "not visible to you" in answer.err
    install = await chandlery(kubeconfig, "install", "local", "--dry-run")
    assert install.err.startswith("error: the API server refuses: ")
    assert "forbidden" in install.err


async def test_a_provider_sees_its_offerings_and_their_instances_without_secrets(access: Access) -> None:
    world = access.world
    _, release = await ordered(world)
    await access.provider("p", world.kind("Database").group)
    kubeconfig = await access.kubeconfig(PROVIDERS, "p")
    other = f"other-{world.id}"
    await world.cluster.apply(
        OFFERINGS,
        {
            "metadata": {"name": other},
            "spec": {
                "chart": {"url": "file:///nowhere"},
                "api": {"group": f"o{world.id}.example.com", "kind": "Other"},
            },
        },
        "provider",
    )
    rows = await read(kubeconfig, "offerings")
    assert [each["name"] for each in rows] == [world.offering_name("Database")]
    rows = await read(kubeconfig, "instances", "--all", "--offering", world.offering_name("Database"))
    assert [each["name"] for each in rows] == ["one"]
    page = await read(kubeconfig, "describe", f"{world.namespace}/one")
    healths = {each["name"]: (each["health"], each["message"]) for each in page["resources"]}
    assert healths["statefulset.apps/one-postgres"] == ("Current", "")
    assert healths["secret/one-postgres"] == ("?", "not visible to you")
    assert any(each.startswith("secrets") and each.endswith(release) for each in page["notVisible"]), page["notVisible"]
    await world.cluster.delete(OFFERINGS, other)


async def test_logs_are_found_without_knowing_where_the_pods_are(world: World, tmp_path: Path) -> None:
    admin = world.stack.layout.kubeconfig
    _, release = await ordered(world, "hello")
    node = f"node-{world.id}"
    async with kubelet(world.cluster, node, world.stack.layout.certificates) as found:
        containers = [{"name": "main", "image": "x", "resources": {"limits": {"cpu": "1m", "memory": "1Mi"}}}]
        body = {
            "metadata": {"name": "talks", "namespace": release},
            "spec": {"nodeName": node, "containers": containers},
        }
        await world.cluster.create(PODS, body)
        # As its kubelet would say: kwok takes its time with a node that it did not know.
        runs = {"metadata": {"name": "talks", "namespace": release}, "status": {"phase": "Running"}}
        await world.cluster.apply_status(PODS, runs, "test")
        found.said = {("talks", ""): ["one", "two \x1b[31m", "three"], ("talks", "previous"): ["before"]}

        where = f"{world.namespace}/one"
        talked = await chandlery(admin, "logs", where, "--pod", "talks")
        assert talked == Answer(0, "one\ntwo \x1b[31m\nthree\n", "")
        assert (await chandlery(admin, "logs", where, "--pod", "talks", "--tail", "1")).out == "three\n"
        assert (await chandlery(admin, "logs", where, "--pod", "talks", "--previous")).out == "before\n"
        assert (await chandlery(admin, "logs", where, "--pod", "talks", "-f")).out.startswith("one\n")
        assert "follow=true" in found.asked[-1]
        missing = await chandlery(admin, "logs", where, "--pod", "nobody")
        assert missing.code == 1
        assert "there are: " in missing.err
        several = await chandlery(admin, "logs", where)
        assert "[talks/main] one" in several.out
        assert several.code == 1, "the fake node's pods say nothing, and that is said"

        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
        status = {
            "phase": "Running",
            "containerStatuses": [
                {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 7, "state": waiting}
            ],
        }
        patch = json.dumps({"status": status})
        world.kubectl("-n", release, "patch", "pod", "talks", "--subresource=status", "--type=merge", "-p", patch)
        page = await read(admin, "describe", where)
        assert page["logs"] == {"pod": "talks", "container": "main", "lines": ["one", "two \x1b[31m", "three"]}
        assert page["next"] == ["read the logs below: the container ends again and again"]
        row = next(each for each in page["pods"] if each["name"] == "talks")
        assert (row["restarts"], row["reason"]) == (7, "CrashLoopBackOff")
        shown = await chandlery(admin, "describe", where)
        assert "Last lines of talks/main" in shown.out
        assert "\x1b" not in shown.out

        metrics = [each for each in await findings(admin) if each["subject"] == "metrics"]
        assert metrics[0]["state"] in ("ok", "limited")
        await world.cluster.delete(PODS, "talks", release)


async def findings(kubeconfig: Path) -> list[Object]:
    answer = await chandlery(kubeconfig, "doctor", "-o", "json")
    found: list[Object] = json.loads(answer.out)
    return found


async def test_what_is_wrong_is_said_with_its_fix(world: World) -> None:
    admin = world.stack.layout.kubeconfig
    await world.offered("Database", "postgres", policies={"limits": {"instances": 0}})
    await world.order("Database", "one")

    async def failed() -> Any:
        page = await read(admin, "describe", f"{world.namespace}/one")
        return page if any(each["status"] == "False" for each in page["conditions"]) else None

    page = await world.eventually(failed, "it fails")
    assert page["next"], page["conditions"]
    shown = await chandlery(admin, "describe", f"{world.namespace}/one")
    assert "What to do next" in shown.out
    missing = await chandlery(admin, "describe", f"{world.namespace}/two")
    assert missing.err == (
        f"error: there is no {world.namespace}/two in namespace {world.namespace};"
        " say where with -n, or find it with `chandlery instances --all`\n"
    )
