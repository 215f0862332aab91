"""No workload before its bounds: told by the API server's own audit log, with fifty instances made at once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from knative.local.stack import Stack
from shared.cluster import Cluster
from tests.e2e.audit import BOUNDS, LEVELS, POLICY, Made, made, too_early
from tests.e2e.world import World, is_ready
from tests.stacks import with_flags

N = 50
POLICIES = {
    "quota": {"requests.cpu": "2", "limits.memory": "4Gi", "pods": "20"},
    "pods": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "podSecurity": "baseline",
}
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(resource: str, second: float, name: str = "one", labels: frozenset[str] = frozenset()) -> Made:
    asked = NOON + timedelta(seconds=second)
    return Made(resource, "home", name, asked, asked + timedelta(milliseconds=100), labels)


BORN = [
    at("namespaces", 0, "home", frozenset(LEVELS)),
    at("configmaps", 0.05, "kube-root-ca.crt"),
    *(at(bound, 1) for bound in BOUNDS),
    at("secrets", 2),
    at("deployments", 3),
]


def test_bounds_before_work_is_as_it_should_be() -> None:
    assert too_early(BORN, "home") == []


@pytest.mark.parametrize(
    ("turned", "wrong"),
    [
        pytest.param(
            [*BORN[:2], *(replace(each, answered=NOON + timedelta(seconds=2.5)) for each in BORN[2:3]), *BORN[3:]],
            ["secrets one came before resourcequotas"],
            id="asked for before the bound was answered",
        ),
        pytest.param([*BORN, at("pods", 0.5)], [f"pods one came before {bound}" for bound in BOUNDS], id="a pod first"),
        pytest.param([each for each in BORN if each.resource != BOUNDS[1]], ["home has no limitranges"], id="none"),
        pytest.param(BORN[:-2], ["home has no workload: this shows nothing"], id="nothing happened"),
        pytest.param(
            [replace(BORN[0], labels=frozenset()), *BORN[1:]],
            ["home was not born with the labels of Pod Security"],
            id="labels later",
        ),
    ],
)
def test_any_other_order_is_found(turned: list[Made], wrong: list[str]) -> None:
    assert too_early(turned, "home") == wrong


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def audited_stack(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[Stack]:
    policy = log.with_name("policy.json")
    policy.write_text(json.dumps(POLICY))
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-mode=blocking")
    found = with_flags(tmp_path_factory.mktemp("audited") / "stack", *flags, kind=Stack)
    yield found
    found.down()


@pytest.fixture
async def audited(audited_stack: Stack) -> AsyncIterator[World]:
    cluster = await Cluster.open(str(audited_stack.layout.kubeconfig))
    found = World(audited_stack, cluster)
    await found.open()
    yield found
    await cluster.close()


async def test_at_no_moment_is_there_work_without_bounds(audited: World, log: Path) -> None:
    await audited.offered("Small", "small", policies=POLICIES)
    await asyncio.gather(*[audited.order("Small", f"i-{number}") for number in range(N)])

    async def all_ready() -> list[str] | None:
        found = (await audited.cluster.list(audited.kind("Small"), audited.namespace))["items"]
        homes = [each["status"]["release"]["namespace"] for each in found if is_ready(each)]
        return homes if len(homes) == N else None

    homes = await audited.eventually(all_ready, f"{N} instances are ready", limit=240)
    found = [*made(log)]
    assert {home: wrong for home in homes if (wrong := too_early(found, home))} == {}
