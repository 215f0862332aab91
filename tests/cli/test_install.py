"""`chandlery install`, `upgrade` and `uninstall` on stacks of their own."""

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from knative.local.build import build
from knative.local.layout import REPOSITORY
from knative.local.manifests import rendered
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.resources import CLUSTER_ROLES, NAMESPACES
from tests.cli.typed import chandlery, done
from tests.e2e.world import World
from tests.ports import free_range

Object = dict[str, Any]

OURS = {"app.kubernetes.io/part-of": "chandlery"}
TRIGGER = """
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata:
  name: more
  namespace: chandlery
  labels: {app.kubernetes.io/part-of: chandlery, eventing.knative.dev/broker: BROKER}
spec:
  broker: BROKER
  subscriber: {uri: "http://127.0.0.1:9"}
"""


ASIDE = {"events", "events.events.k8s.io", "leases.coordination.k8s.io"}
"""What comes and goes by itself."""
LINES = '{range .items[*]}{.apiVersion} {.kind} {.metadata.namespace}/{.metadata.name}{"\\n"}{end}'


class Own(Stack):
    """A stack to install to and to take away from."""

    before: frozenset[str]

    def _install(self) -> None:
        self._wait_kinds()
        self.before = everything(self)
        done(self, "install", "local")


def everything(stack: Stack) -> frozenset[str]:
    """Every object of every kind that the API server knows."""
    kinds = {*stack.kubectl("api-resources", "--verbs=list", "-oname").split()} - ASIDE
    return frozenset(stack.kubectl("get", ",".join(sorted(kinds)), "-A", f"-ojsonpath={LINES}").splitlines())


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    found = Own(tmp_path_factory.mktemp("own") / "stack", free_range())
    found.up()
    yield found
    found.down()


@pytest.fixture
async def world(own: Own) -> AsyncIterator[World]:
    cluster = await Cluster.open(str(own.layout.kubeconfig))
    yield World(own, cluster)
    await cluster.close()


def overlay(folder: Path, extra: str = "") -> Path:
    """The local one, with something more in it."""
    base = os.path.relpath(REPOSITORY / "knative/overlays/local", folder)
    (folder / "more.yaml").write_text(extra or "{}")
    resources = [base, *(["more.yaml"] if extra else [])]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"kind": "Kustomization", "resources": resources}))
    return folder


async def ordered(world: World) -> str:
    """The release namespace of an instance."""
    await world.open()
    await world.offered("Database", "hello")
    await world.order("Database", "one")
    return str((await world.ready("Database", "one"))["status"]["release"]["namespace"])


async def test_an_upgrade_changes_what_can_not_be_changed_and_takes_away_what_is_no_more(
    world: World, tmp_path: Path
) -> None:
    own = world.stack
    done(own, "upgrade", overlay(tmp_path))
    done(own, "uninstall", "--yes")
    dry = done(own, "install", overlay(tmp_path), "--dry-run")
    assert "change  CustomResourceDefinition.apiextensions.k8s.io/offerings.chandlery.dev" in dry.out
    assert "create  Broker.eventing.knative.dev/offerings -n chandlery" in dry.out
    installed = done(own, "install", overlay(tmp_path, TRIGGER.replace("BROKER", "offerings")))
    assert "4 Brokers" in installed.out
    assert "applying 3 CustomResourceDefinitions" in installed.err
    again = chandlery(own, "install", tmp_path)
    assert (again.code, again.out) == (1, "")
    assert "is installed already" in again.err

    done(own, "upgrade", overlay(tmp_path, TRIGGER.replace("BROKER", "usage")))
    assert world.kubectl("-n", "chandlery", "get", "trigger", "more", "-o", "jsonpath={.spec.broker}") == "usage"
    assert "delete  Trigger.eventing.knative.dev/more" in done(own, "upgrade", overlay(tmp_path), "--dry-run").out
    assert "taken away: 1 Trigger" in done(own, "upgrade", overlay(tmp_path)).out
    assert "NotFound" in world.kubectl("-n", "chandlery", "get", "trigger", "more", fails=True)


async def test_peoples_data_stays_and_is_looked_after_when_it_is_installed_again(world: World, tmp_path: Path) -> None:
    own, cluster = world.stack, world.cluster
    done(own, "upgrade", overlay(tmp_path))
    release = await ordered(world)
    assert "Offerings, instances and what they run stay" in done(own, "uninstall", "--dry-run").out
    assert chandlery(own, "uninstall", given="n\n").code == 1
    kinds = "brokers,triggers,services,serviceaccounts"
    labelled = ("-n", "chandlery", "get", kinds, "-l", "app.kubernetes.io/part-of=chandlery", "-o", "name")
    assert world.kubectl(*labelled)
    done(own, "uninstall", "--yes")
    assert world.kubectl(*labelled) == ""
    assert await world.instance("Database", "one")
    assert await cluster.get(NAMESPACES, release)
    assert await world.offering("Database")
    assert not (await cluster.list(CLUSTER_ROLES, labels=OURS))["items"]

    await world.order("Database", "two")  # while nobody looks
    done(own, "install", overlay(tmp_path))
    await world.ready("Database", "two")


async def test_with_purge_nothing_stays(own: Own, world: World, tmp_path: Path) -> None:
    done(own, "upgrade", overlay(tmp_path))
    await ordered(world)
    plan = done(own, "uninstall", "--purge", "--dry-run").out
    assert f"Database.t{world.id}.example.com/one -n {world.namespace}" in plan
    assert left(own)
    done(own, "uninstall", "--purge", "--yes")
    assert await world.cluster.get(NAMESPACES, world.namespace), "is not ours"
    await restored(own, world)
    assert "there is nothing to take away" in done(own, "uninstall", "--purge").out


async def restored(own: Own, world: World) -> None:
    async def same() -> bool:
        return not left(own)

    async def shown() -> list[str]:
        return sorted(left(own))

    await world.eventually(same, "all is as it was before the first install", shown)


async def test_with_force_nothing_stays_though_nobody_is_left_to_do_it_properly(
    own: Own, world: World, tmp_path: Path
) -> None:
    done(own, "upgrade", overlay(tmp_path))
    await ordered(world)
    done(own, "uninstall", "--yes")
    stuck = chandlery(own, "uninstall", "--purge", "--yes", "--timeout", "2")
    assert stuck.code == 1
    assert "waits for a function of ours (chandlery.dev/" in stuck.err
    done(own, "uninstall", "--purge", "--yes", "--force")
    await restored(own, world)


def left(own: Own) -> set[str]:
    """What there is more or less than before the first install, but for what is not ours: the namespaces of tests, and
    the pods that Knative ticks from once there was a PingSource."""
    return {each for each in everything(own) ^ own.before if not re.search("team-|pingsource-mt-adapter", each)}


def test_without_knative_nothing_is_begun(tmp_path: Path) -> None:
    bare = Stack(tmp_path / "stack", free_range())
    bare.control_plane()
    try:
        refused = chandlery(bare, "install", "local")
        assert refused.code == 1
        assert refused.err.startswith("error: the cluster does not serve Broker (eventing.knative.dev/v1), ")
        assert "`chandlery doctor` says why" in refused.err
        assert "there is nothing to take away" in done(bare, "uninstall").out

        # Its kinds are there, but nobody looks after Brokers: that is what it waits for, and what doctor says.
        knative = json.loads(rendered(build()).read_text())
        crds = [each for each in knative["items"] if each["kind"] in ("CustomResourceDefinition", "Namespace")]
        file = tmp_path / "knative.yaml"
        file.write_text("\n---\n".join(map(json.dumps, crds)))
        kubectl = World(bare, None).kubectl  # type: ignore[arg-type]
        kubectl("apply", "--server-side", "-f", str(file))
        kubectl("wait", "--for=condition=established", "crd", "--all", "--timeout=30s")
        unready = chandlery(bare, "install", "local", "--timeout", "2")
        assert unready.code == 1
        assert "Broker.eventing.knative.dev/" in unready.err
        assert "is not Ready yet" in unready.err
        found = json.loads(chandlery(bare, "doctor", "-o", "json").out)
        blind = [each["message"] for each in found if "nothing has looked at it yet" in each["message"]]
        assert [each.split()[0] for each in blind] == ["Broker", "Trigger"]
        assert {each["state"] for each in found if each["subject"] in ("kinds", "rights")} == {"ok"}
        done(bare, "uninstall", "--yes")
    finally:
        bare.down()
