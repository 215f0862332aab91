"""A stack with a real node beside it: for root, on a machine that has containerd; elsewhere these tests are skipped."""

from collections.abc import AsyncIterator, Iterator

import pytest

from knative.local.node.node import Node
from knative.local.node.requirements import missing
from knative.local.stack import Stack
from shared.cluster import Cluster
from tests.e2e.world import World
from tests.node.load import Load, loaded
from tests.ports import free_range


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if reason := missing():
        pytest.skip(reason)
    found = Stack(tmp_path_factory.mktemp("node") / "stack", free_range())
    try:
        Node(found).up()
        yield found
    finally:
        found.down()


@pytest.fixture(scope="session")
def node(stack: Stack) -> Node:
    return Node(stack)


@pytest.fixture(scope="session")
async def world(stack: Stack, cluster: Cluster) -> AsyncIterator[World]:
    found = World(stack, cluster)
    await found.open()
    yield found
    await found.close()


@pytest.fixture(scope="module")
async def load(world: World) -> Load:
    """An instance that has used up what it was asked to."""
    return await loaded(world, "known", cpu={"burn": "5s"}, memory={"hold": 40 << 20}, volume=VOLUME)


VOLUME = {"size": "64Mi", "fill": 30 << 20}
