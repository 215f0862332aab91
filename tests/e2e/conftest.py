"""Every test has an API group and a namespace of its own, and leaves nothing behind."""

from collections.abc import AsyncIterator

import pytest

from knative.local.stack import Stack
from shared.cluster import Cluster
from tests.e2e.world import World


@pytest.fixture
async def world(stack: Stack, cluster: Cluster) -> AsyncIterator[World]:
    found = World(stack, cluster)
    await found.open()
    yield found
    await found.close()
