"""What happens to things in flight when something dies: everything converges, nothing is left over, nothing runs twice.

On a stack of its own, a process for each function, one test after the other.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from cloudevents.conversion import to_binary

from events.base import Event, InstanceKey, event_id
from events.catalog import BY_TYPE
from events.instances import InstanceAdmitted, InstanceRequested
from events.policies import PoliciesApplied
from events.ticks import Ticked
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.function import envelope_of
from shared.resources import NAMESPACES, Resource
from tests.e2e.fault_proxy import FaultProxy
from tests.e2e.world import World, is_ready

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600)]

TRIGGERS = Resource("eventing.knative.dev", "v1", "triggers", "Trigger")
PARAMETERS = [{"path": "replicaCount", "name": "replicas"}]


@pytest.fixture(scope="session")
async def fault_cluster(fault_stack: Stack) -> AsyncIterator[Cluster]:
    found = await Cluster.open(str(fault_stack.layout.kubeconfig))
    yield found
    await found.close()


@pytest.fixture
async def world(fault_stack: Stack, fault_cluster: Cluster) -> AsyncIterator[World]:
    found = World(fault_stack, fault_cluster)
    await found.open()
    yield found
    await found.close()


async def post(world: World, said: Event, *cause: object, broker: str = "") -> None:
    """As a source does: to the Broker's ingress; tried again while it is away."""
    broker = broker or BY_TYPE[said.type].broker
    headers, body = to_binary(envelope_of(said, "/chandlery/test", event_id(said.type, *cause)))
    url = f"http://{world.stack.layout.address('ingress')}/chandlery/{broker}"
    async with aiohttp.ClientSession() as session:

        async def taken() -> bool:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(url, data=body, headers=headers) as answer:
                    return answer.status < 300
            return False

        await world.eventually(taken, f"the broker takes {said.type}")


@pytest.fixture
async def ticking(world: World) -> AsyncIterator[None]:
    """The resync tick, oftener than once a minute."""

    async def tick() -> None:
        count = 0
        while True:
            await asyncio.sleep(3)
            count += 1
            await post(world, Ticked(seconds=3), world.id, count)

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, AssertionError):
        await task


async def whole_life(world: World, proxy: FaultProxy | None = None) -> None:
    """Offered, ordered, changed, deleted, retired; at each stop everything is as if nothing had happened."""
    await world.offered("Hello", "hello", parameters=PARAMETERS)
    await world.order("Hello", "one", replicas=1)
    ready = await world.ready("Hello", "one")
    uid = ready["metadata"]["uid"]
    assert len(await world.release_namespaces(uid)) == 1
    namespace = ready["status"]["release"]["namespace"]
    assert await world.revisions(namespace) == [(1, "deployed")]

    await world.order("Hello", "one", replicas=2)
    await world.ready("Hello", "one")
    assert await world.revisions(namespace) == [(1, "superseded"), (2, "deployed")]

    await world.delete("Hello", "one")
    await world.gone("Hello", "one", uid)
    await world.retire("Hello")
    if proxy:
        assert proxy.kills, "the fault never happened: this test shows nothing"


KILLED = {
    "register-chart": (1, 2, 3),
    "publish-api": (1, 2, 3),
    "map-parameters": (1,),
    "grant-access": (1, 3, 5),
    "admit-instance": (1,),
    "apply-policies": (1, 3),
    "install-release": (1, 3, 5, 6),
    "report-health": (1,),
    "remove-release": (1, 3),
    "retire-offering": (1, 2),
}


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize(("name", "after"), [(name, n) for name, writes in KILLED.items() for n in writes])
async def test_a_function_is_killed_right_after_a_write(world: World, name: str, after: int) -> None:
    """SIGKILL when the API server has taken the n-th write and the function does not know it yet."""
    async with FaultProxy.before(world.stack, name, kill_after=after) as proxy:
        await whole_life(world, proxy)


@pytest.mark.usefixtures("ticking")
async def test_every_event_is_delivered_twice(world: World) -> None:
    found = (await world.cluster.list(TRIGGERS, "chandlery"))["items"]
    twins = [
        {"metadata": {**each["metadata"], "name": f"{each['metadata']['name']}-twin"}, "spec": each["spec"]}
        for each in found
    ]
    for twin in twins:
        twin["metadata"] = {key: twin["metadata"][key] for key in ("name", "namespace", "labels")}
        await world.cluster.apply(TRIGGERS, twin, "test")
    world.kubectl("-n", "chandlery", "wait", "--for=condition=Ready", "triggers", "--all", "--timeout=60s")
    try:
        await whole_life(world)
    finally:
        for twin in twins:
            await world.cluster.delete(TRIGGERS, twin["metadata"]["name"], "chandlery")


async def test_events_of_an_older_generation_come_last(world: World) -> None:
    await world.offered("Hello", "hello", parameters=PARAMETERS)
    created = await world.order("Hello", "one", replicas=1)
    await world.order("Hello", "one", replicas=2)
    ready = await world.ready("Hello", "one")
    namespace = ready["status"]["release"]["namespace"]
    before = await world.revisions(namespace)
    kind = world.kind("Hello")
    key = InstanceKey(
        offering=world.offering_name("Hello"),
        group=kind.group,
        version=kind.version,
        plural=kind.plural,
        kind=kind.kind,
        namespace=world.namespace,
        name="one",
        uid=ready["metadata"]["uid"],
    )
    generation = created["metadata"]["generation"]
    for late in (PoliciesApplied, InstanceAdmitted, InstanceRequested):
        await post(world, late(instance=key, generation=generation), world.id, late.type)
    # A later order goes through the same functions: when it is through, so are the late ones.
    await world.order("Hello", "two", replicas=1)
    await world.ready("Hello", "two")
    found = await world.instance("Hello", "one")
    assert is_ready(found)
    assert found
    assert found["spec"] == {"replicas": 2}
    assert await world.revisions(namespace) == before


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("name", ["apiserver", "nats", "eventing", "ingress", "filter", "instances-source", "etcd"])
async def test_a_process_is_killed_while_instances_are_made(world: World, name: str) -> None:
    await world.offered("Hello", "hello", parameters=PARAMETERS)
    names = [f"i{number}" for number in range(6)]
    for each in names[:3]:
        await world.order("Hello", each, replicas=1)
    world.stack.signal(name, "KILL")

    async def ordered(each: str) -> bool:
        await world.order("Hello", each, replicas=1)
        return True

    for each in names[3:]:
        await world.eventually(lambda each=each: ordered(each), f"{each} can be ordered")  # type: ignore[misc]
    uids = {}
    for each in names:
        ready = await world.ready("Hello", each)
        uids[each] = ready["metadata"]["uid"]
        assert await world.revisions(ready["status"]["release"]["namespace"]) == [(1, "deployed")]
    for each in names:
        await world.delete("Hello", each)
    for each, uid in uids.items():
        await world.gone("Hello", each, uid)


@pytest.mark.usefixtures("ticking")
async def test_the_source_is_down_while_things_happen(world: World) -> None:
    await world.offered("Hello", "hello", parameters=PARAMETERS)
    for each in ("changed", "deleted"):
        await world.order("Hello", each, replicas=1)
    uids = {each: (await world.ready("Hello", each))["metadata"]["uid"] for each in ("changed", "deleted")}
    for source in ("instances-source", "offerings-source"):
        world.stack.stop(source)
    await world.order("Hello", "created", replicas=1)
    await world.order("Hello", "changed", replicas=2)
    await world.delete("Hello", "deleted")
    for source in ("instances-source", "offerings-source"):
        world.stack.start(source)
    await world.ready("Hello", "created")
    changed = await world.ready("Hello", "changed")
    assert changed["status"]["release"]["revision"] == 2
    await world.gone("Hello", "deleted", uids["deleted"])


@pytest.mark.usefixtures("ticking")
async def test_an_instance_whose_finalizer_was_stripped_leaves_no_orphan(world: World) -> None:
    await world.offered("Hello", "hello", parameters=PARAMETERS)
    await world.order("Hello", "one", replicas=1)
    uid = (await world.ready("Hello", "one"))["metadata"]["uid"]
    world.stack.stop("instances-source")
    await world.delete("Hello", "one")
    await world.cluster.patch(
        world.kind("Hello"), "one", [{"op": "remove", "path": "/metadata/finalizers"}], world.namespace
    )
    world.stack.start("instances-source")
    await world.gone("Hello", "one", uid)


@pytest.mark.usefixtures("ticking")
async def test_a_release_namespace_deleted_by_hand_is_made_again(world: World) -> None:
    await world.offered("Hello", "hello", parameters=PARAMETERS)
    await world.order("Hello", "one", replicas=1)
    namespace = (await world.ready("Hello", "one"))["status"]["release"]["namespace"]
    await world.cluster.delete(NAMESPACES, namespace)

    async def back() -> Any:
        found = await world.cluster.get(NAMESPACES, namespace)
        alive = found and not found["metadata"].get("deletionTimestamp")
        return alive and await world.revisions(namespace) == [(1, "deployed")]

    await world.eventually(back, "the release is back", lambda: world.instance("Hello", "one"))
    await world.ready("Hello", "one")
