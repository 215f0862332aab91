"""From the release before this one, as its own code left a cluster behind: tests/golden/previous/make.py."""

import tarfile
from collections.abc import AsyncIterator, Iterator

import pytest

from cli import bundle, installation
from knative.local.layout import REPOSITORY
from knative.local.stack import Stack
from knative.local.tools import Tools
from shared import statuses
from shared.cluster import Cluster
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS
from tests.cli.typed import done
from tests.e2e.world import World, conditions
from tests.golden.previous.make import WORLD
from tests.ports import free_range

PREVIOUS = REPOSITORY / "tests/golden/previous/cluster.tar.xz"
KIND = "Database"


class Restored(Stack):
    """Today's code on what the previous release's left; it is `chandlery upgrade` that brings its manifests."""

    said = ""

    def _prepare(self, tools: Tools) -> None:
        super()._prepare(tools)
        with tarfile.open(PREVIOUS) as archive:
            archive.extractall(self.layout.run, filter="data")

    def _install(self) -> None:
        self.said = done(self, "upgrade", "local").out


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    found = Restored(tmp_path_factory.mktemp("restored") / "stack", free_range())
    try:
        found.up()
        yield found
    finally:
        found.down()


@pytest.fixture
async def world(restored: Restored) -> AsyncIterator[World]:
    cluster = await Cluster.open(str(restored.layout.kubeconfig))
    yield World(restored, cluster, WORLD)
    await cluster.close()


async def test_what_the_previous_release_left_is_looked_after_by_this_one(restored: Restored, world: World) -> None:
    assert "taken away: 1 Trigger" in restored.said
    assert "NotFound" in world.kubectl("-n", "chandlery", "get", "trigger", "obsolete", fails=True)
    record = await installation.read(world.cluster)
    assert record
    assert record.complete
    assert record.objects == {bundle.id_of(each) for each in bundle.load("local")}
    for body in bundle.load("local"):
        if body["kind"] == CUSTOM_RESOURCE_DEFINITIONS.kind:
            found = await world.cluster.get(CUSTOM_RESOURCE_DEFINITIONS, body["metadata"]["name"])
            assert found
            assert found["spec"]["versions"] == body["spec"]["versions"]

    before = await world.ready(KIND, "one")
    release = before["status"]["release"]["namespace"]

    async def renewed() -> bool:
        found = (await world.offering(KIND) or {}).get("status", {})
        return bool(found["api"].get("statusEdition") == statuses.EDITION)

    await world.eventually(renewed, "its API has today's status schema", lambda: world.offering(KIND))
    await world.order(KIND, "two")
    await world.ready(KIND, "two")
    assert conditions(await world.ready(KIND, "one")) == conditions(before)
    assert await world.revisions(release) == [(1, "deployed")]

    await world.order(KIND, "one", replicaCount=2)
    await world.ready(KIND, "one")
    assert await world.revisions(release) == [(1, "superseded"), (2, "deployed")]
    uid = before["metadata"]["uid"]
    await world.delete(KIND, "one")
    await world.gone(KIND, "one", uid)
