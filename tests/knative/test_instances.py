"""What the source says of instances, their namespaces and workloads, on a real API server."""

import asyncio

from events.base import InstanceKey
from events.instances import InstanceRequested, InstancesChanged, InstanceWithdrawn
from events.workloads import WorkloadsChanged
from shared.cluster import Cluster
from shared.resources import NAMESPACES, OFFERINGS, of_instance
from tests.knative.conftest import ControlPlane, Recorder, Running
from tests.knative.kinds import (
    BY,
    HOLD,
    apply,
    drop_instance,
    let_go,
    make_deployment,
    make_held,
    make_instance,
    make_namespace,
    make_offering,
    publish,
    serve,
    unserve,
)

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def requested(key: InstanceKey, generation: int) -> InstanceRequested:
    return InstanceRequested(instance=key, generation=generation)


def withdrawn(key: InstanceKey) -> InstanceWithdrawn:
    return InstanceWithdrawn(instance=key)


def life(sink: Recorder, name: str) -> list[object]:
    """Without what is told a moment later, whose place among the rest is left open."""
    late = (InstancesChanged, WorkloadsChanged)
    return [event for event in sink.about(name) if not isinstance(event, late)]


async def test_an_api_and_its_instances_come_and_go_while_it_runs(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    async with source("instances"):
        await serve(admin, name)
        key = await make_instance(admin, name, finalizers=[HOLD])
        await sink.hears(requested(key, 1), InstancesChanged(offering=name))
        status = {"metadata": {"name": name, "namespace": "default"}, "status": {"n": 1}}
        await admin.apply_status(of_instance(key), status, BY)  # counted, but no request
        counted = sink.about(name).count(InstancesChanged(offering=name))
        await sink.until(lambda: sink.about(name).count(InstancesChanged(offering=name)) > counted)
        await make_instance(admin, name, {"n": 2}, finalizers=[HOLD])
        await sink.hears(requested(key, 2))
        await drop_instance(admin, key)
        await sink.hears(withdrawn(key))
        await drop_instance(admin, key, finalizers=True)
        await unserve(admin, name)
        await serve(admin, name)
        again = await make_instance(admin, name)
        await sink.hears(requested(again, 1))
    assert life(sink, name) == [requested(key, 1), requested(key, 2), withdrawn(key), requested(again, 1)]


async def test_a_new_version_of_an_api_is_followed_and_nobody_is_told_of_as_gone(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    async with source("instances"):
        await serve(admin, name)
        key = await make_instance(admin, name)
        await sink.hears(requested(key, 1), InstancesChanged(offering=name))
        await serve(admin, name, "v1alpha1", version="v1alpha2")
        newer = key.model_copy(update={"version": "v1alpha2"})
        generation = 1
        async with asyncio.timeout(20):
            while not any(isinstance(each, InstanceRequested) and each.instance == newer for each in sink.about(name)):
                generation += 1
                await make_instance(admin, name, {"n": generation})
                await asyncio.sleep(0.2)
    assert not [each for each in sink.about(name) if isinstance(each, InstanceWithdrawn)]
    asked = [each.generation for each in sink.about(name) if isinstance(each, InstanceRequested)]
    assert asked == sorted(set(asked))


async def test_an_instance_that_goes_without_a_word_is_withdrawn(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    key = await make_instance(admin, name)
    async with source("instances"):
        await drop_instance(admin, key)
        await sink.hears(withdrawn(key))


async def test_an_instance_that_goes_with_its_api_is_withdrawn(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    key = await make_instance(admin, name)
    async with source("instances"):
        await unserve(admin, name)
        await sink.hears(withdrawn(key))


async def test_what_happened_while_it_was_down_is_told_when_it_is_back(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    for each in ("a", "b", "c"):
        await serve(admin, f"{name}{each}")
    changed = await make_instance(admin, f"{name}a")
    marked = await make_instance(admin, f"{name}b", finalizers=[HOLD])
    gone = await make_instance(admin, f"{name}c")
    for key in (changed, marked, gone):
        await make_namespace(admin, key)
    async with source("instances"):
        await sink.hears(*(requested(key, 1) for key in (changed, marked, gone)))
    await make_instance(admin, f"{name}a", {"n": 2})
    await drop_instance(admin, marked)
    await drop_instance(admin, gone)
    made = await make_instance(admin, name)
    async with source("instances"):
        await sink.hears(requested(changed, 2), withdrawn(marked), withdrawn(gone), requested(made, 1))
    assert withdrawn(changed) not in life(sink, name)


async def test_instances_are_asked_for_again_when_their_offering_is_published_anew(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await make_offering(admin, name)
    await publish(admin, name, 1, A)
    await serve(admin, name)
    key = await make_instance(admin, name)
    async with source("instances"):
        await sink.hears(requested(key, 1))
        await admin.apply_status(OFFERINGS, {"metadata": {"name": name}, "status": {"api": {"crd": "x"}}}, "another")
        await make_offering(admin, name, values=2)  # not published as it stands
        await publish(admin, name, 2, A)
        await sink.until(lambda: len(life(sink, name)) == 2)
        await publish(admin, name, 2, B)
        await sink.until(lambda: len(life(sink, name)) == 3)
    assert life(sink, name) == [requested(key, 1)] * 3


async def test_changes_of_workloads_in_release_namespaces_are_told(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    key = await make_instance(admin, name)
    told = WorkloadsChanged(instance=key)
    await apply(admin, NAMESPACES, f"{name}-other")
    async with source("instances"):
        namespace = await make_namespace(admin, key)
        await make_deployment(admin, f"{name}-other", "web")
        for number in range(10):
            await make_deployment(admin, namespace, f"web{number}")
        await sink.hears(told)
        first = sink.about(name).count(told)
        await make_deployment(admin, namespace, "web0", replicas=2)
        await sink.until(lambda: sink.about(name).count(told) > first)
    assert sink.about(name).count(told) < 10
    count = sink.about(name).count(told)
    async with source("instances"):
        await sink.until(lambda: sum(each.event == told for each in sink.taken) > count)


async def test_a_release_namespace_on_its_way_out_is_followed_to_its_end(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    key = await make_instance(admin, name, finalizers=[HOLD])
    async with source("instances"):
        namespace = await make_namespace(admin, key)
        await make_held(admin, namespace)
        await drop_instance(admin, key)
        await sink.hears(withdrawn(key))
        await admin.delete(NAMESPACES, namespace)
        await sink.until(lambda: life(sink, name).count(withdrawn(key)) == 2)  # the namespace says what it waits for
        await let_go(admin, namespace)
        await sink.until(lambda: life(sink, name).count(withdrawn(key)) > 2)


async def test_a_release_namespace_taken_from_a_living_instance_is_asked_for_again(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    key = await make_instance(admin, name)
    async with source("instances"):
        namespace = await make_namespace(admin, key)
        await admin.delete(NAMESPACES, namespace)
        await sink.until(lambda: life(sink, name).count(requested(key, 1)) == 2)


async def test_a_killed_api_server_makes_nothing_be_lost_or_said_twice(
    control_plane: ControlPlane, admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    await serve(admin, name)
    key = await make_instance(admin, name)
    async with source("instances"):
        control_plane.signal("apiserver", "KILL")
        await control_plane.answers()
        await make_instance(admin, name, {"n": 2})
        await serve(admin, f"{name}b")
        other = await make_instance(admin, f"{name}b")
        await sink.hears(requested(key, 2), requested(other, 1))
        await drop_instance(admin, key)
        await sink.hears(withdrawn(key))
    ours = [each.event for each in sink.taken if each.event.subject.endswith(f"/{name}")]
    assert ours == [requested(key, 1), requested(key, 2), withdrawn(key)]
