"""What the source says of Offerings, on a real API server, with the rights it has in a cluster."""

from events.base import OfferingKey
from events.offerings import OfferingApplied, OfferingWithdrawn
from shared.cluster import Cluster
from shared.resources import OFFERINGS
from tests.knative.conftest import ControlPlane, Recorder, Running
from tests.knative.kinds import HOLD, make_offering, publish, serve, unserve


def applied(key: OfferingKey, generation: int) -> OfferingApplied:
    return OfferingApplied(offering=key, generation=generation)


def withdrawn(key: OfferingKey, generation: int) -> OfferingWithdrawn:
    return OfferingWithdrawn(offering=key, generation=generation)


async def test_an_offering_is_told_of_from_its_first_day_to_its_last(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    key = await make_offering(admin, name, finalizers=[HOLD])
    async with source("offerings"):
        await sink.hears(applied(key, 1))
        await publish(admin, name, 1, "sha256:" + "a" * 64)  # a status says nothing
        await make_offering(admin, name, values=2, finalizers=[HOLD])
        await sink.hears(applied(key, 2))
        await make_offering(admin, name, values=2, finalizers=[HOLD], annotations={"chandlery.dev/again": "1"})
        await sink.until(lambda: len(sink.about(name)) == 3)
        await admin.delete(OFFERINGS, name)
        await sink.hears(withdrawn(key, 3))
    assert sink.about(name) == [applied(key, 1), applied(key, 2), applied(key, 2), withdrawn(key, 3)]


async def test_what_happened_while_it_was_down_is_told_when_it_is_back(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    key = await make_offering(admin, name, finalizers=[HOLD])
    other = await make_offering(admin, f"{name}-b")
    async with source("offerings"):
        await sink.hears(applied(key, 1), applied(other, 1))
    await admin.delete(OFFERINGS, name)
    await make_offering(admin, f"{name}-b", values=2)
    async with source("offerings"):
        await sink.hears(withdrawn(key, 2), applied(other, 2))


async def test_an_api_deleted_by_hand_makes_its_offering_be_told_of_again(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    key = await make_offering(admin, name, finalizers=[HOLD])
    await serve(admin, name)
    async with source("offerings"):
        await unserve(admin, name)
        await sink.until(lambda: sink.about(name) == [applied(key, 1)] * 2)
        await serve(admin, name)
        await admin.delete(OFFERINGS, name)
        await sink.hears(withdrawn(key, 2))
        await unserve(admin, name)
        await sink.until(lambda: sink.about(name)[2:] == [withdrawn(key, 2)] * 2)


async def test_an_event_the_sink_does_not_take_is_sent_until_it_does(
    admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    sink.answer = lambda post: 503 if post < 6 else 204
    key = await make_offering(admin, name)
    async with source("offerings"):
        await sink.hears(applied(key, 1))
        sink.answer = lambda _: 503
        for values in (2, 3, 4):
            await make_offering(admin, name, values=values)
        await sink.until(lambda: applied(key, 4) in [each.event for each in sink.posts])
        sink.answer = lambda _: 204
        await sink.hears(applied(key, 4))
    assert sink.about(name) == [applied(key, 1), applied(key, 4)]


async def test_a_killed_api_server_makes_nothing_be_said_twice(
    control_plane: ControlPlane, admin: Cluster, source: Running, sink: Recorder, name: str
) -> None:
    key = await make_offering(admin, name)
    other = await make_offering(admin, f"{name}-b")
    async with source("offerings"):
        await sink.hears(applied(key, 1), applied(other, 1))
        control_plane.signal("apiserver", "KILL")
        await control_plane.answers()
        await make_offering(admin, name, values=2)
        await sink.hears(applied(key, 2))
    ours = [each for each in sink.taken if name in str(each.event)]
    assert len(ours) == 3
