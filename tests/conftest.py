"""The real stack that tests run against: started once for all workers, on ports and files of its own."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

from knative.local.build import build
from knative.local.stack import Stack
from shared.cluster import Cluster
from tests.ports import free_range
from tests.stacks import hurry

# A busy machine is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tools() -> dict[str, str]:
    """The path of each built program, by its name."""
    return {name: str(path) for name, path in build().programs.items()}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def stack(shared_folder: Path) -> Iterator[Stack]:
    """The stack all workers share; tests keep apart by namespaces. The last worker that leaves puts out the light."""
    users = shared_folder / "stack-users"
    with FileLock(shared_folder / "stack.lock"):
        count = int(users.read_text()) if users.exists() else 0
        found = Stack(shared_folder / "stack", None if count else free_range())
        if not count:
            found.up()
            hurry(found)
        users.write_text(str(count + 1))
    yield found
    with FileLock(shared_folder / "stack.lock"):
        count = int(users.read_text()) - 1
        users.write_text(str(count))
        if not count:
            found.down()


@pytest.fixture(scope="session")
def fault_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for tests that break it, a process for each function."""
    found = Stack(tmp_path_factory.mktemp("faults") / "stack", free_range(), each=True)
    found.up()
    yield found
    found.down()


@pytest.fixture(scope="session")
async def cluster(stack: Stack) -> AsyncIterator[Cluster]:
    """As an administrator of the shared stack."""
    found = await Cluster.open(str(stack.layout.kubeconfig))
    yield found
    await found.close()
