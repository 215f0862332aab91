"""From an order to Ready as one trace, as a collector gets it: real Brokers between the functions, a real Helm."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from events.instances import InstanceRequested
from events.workloads import WorkloadsChanged
from knative.local.processes import Process
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.tracing import trace_of
from tests.collector import Collector, Told, collecting
from tests.e2e.world import World
from tests.stacks import altered


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as found:
        yield found


@pytest.fixture(scope="module")
async def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> AsyncIterator[Stack]:
    """A stack whose functions and sources tell the collector."""
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def telling(each: Process) -> Process:
        return replace(each, environment={**each.environment, **told})

    found = await asyncio.to_thread(altered, tmp_path_factory.mktemp("traced") / "stack", telling, Stack)
    yield found
    await asyncio.to_thread(found.down)


@pytest.fixture
async def world(traced: Stack) -> AsyncIterator[World]:
    cluster = await Cluster.open(str(traced.layout.kubeconfig))
    found = World(traced, cluster)
    await found.open()
    yield found
    await found.close()
    await cluster.close()


def chain(spans: list[Told], last: Told) -> list[str]:
    """The names from the first span to this one."""
    by_id = {each.id: each for each in spans}
    found = [last]
    while found[0].above:
        found.insert(0, by_id[found[0].above])
    return [each.name for each in found]


WAY = [InstanceRequested.type, "admit_instance", "apply_policies", "install_release"]


async def traced_to_ready(world: World, collector: Collector, found: Any) -> list[Told]:
    """The spans of what was wished for, once outsiders have been told that it is ready."""
    trace = trace_of(found["metadata"]["uid"], found["metadata"]["generation"])

    async def whole() -> list[Told] | None:
        spans = [each for each in collector.spans if each.trace == trace]
        return spans if "tell_outsiders" in {each.name for each in spans} else None

    return await world.eventually(whole, "the trace is whole")


@pytest.mark.xdist_group("tracing")
async def test_a_wish_is_one_trace_from_the_change_seen_to_ready(world: World, collector: Collector) -> None:
    await world.offered("Database", "postgres")
    await world.order("Database", "orders")
    spans = await traced_to_ready(world, collector, await world.ready("Database", "orders"))

    (first,) = [each for each in spans if not each.above]
    assert (first.service, first.name, first.failed) == ("instances_source", InstanceRequested.type, False)
    assert first["chandlery.instance"] == f"{world.namespace}/orders"
    for number, name in enumerate(WAY[1:], 2):
        steps = [each for each in spans if each.name == name and each["chandlery.outcome"] == "said"]
        assert WAY[:number] in [chain(spans, each) for each in steps]
        assert {each.service for each in steps} == {name}
    assert [chain(spans, each) for each in spans if each.name == "helm install"] == [[*WAY, "helm install"]]
    assert {chain(spans, each)[-2] for each in spans if each.name == "tell_outsiders"} == {"report_health"}


@pytest.mark.xdist_group("tracing")
async def test_a_change_of_it_is_another_trace_and_later_news_of_its_workloads_belong_to_it(
    world: World, collector: Collector
) -> None:
    await world.offered("Database", "postgres")
    await world.order("Database", "orders")
    before = await traced_to_ready(world, collector, await world.ready("Database", "orders"))
    await world.order("Database", "orders", primary={"replicaCount": 3})
    spans = await traced_to_ready(world, collector, await world.ready("Database", "orders"))

    assert {each.trace for each in before} & {each.trace for each in spans} == set()
    assert [each.name for each in spans if not each.above] == [InstanceRequested.type]
    assert [*WAY, "helm upgrade"] in [chain(spans, each) for each in spans]
    for health in [each for each in spans if each.name == "report_health"]:
        if chain(spans, health) != [*WAY, "report_health"]:
            assert chain(spans, health) == [InstanceRequested.type, "report_health"]
            (cause,) = [each for each in collector.spans if health.links == (f"{each.trace}-{each.id}",)]
            assert (cause.service, cause.name, cause.above) == ("instances_source", WorkloadsChanged.type, "")
