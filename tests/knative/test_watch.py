"""What a watch tells of a resource is what happened to it, through gaps of every kind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from knative.seen import Seen
from shared.cluster import Cluster
from shared.resources import NAMESPACES
from shared.watch import Change, Name, Watch, since, step
from tests.knative.conftest import ControlPlane
from tests.knative.kinds import CONFIG_MAPS, apply

names = st.tuples(st.just("ns"), st.sampled_from("abc"))
objects = st.builds(
    Seen, namespace=st.just("ns"), name=st.just("x"), uid=st.sampled_from(["1", "2"]), version=st.integers(1, 3)
)
states = st.dictionaries(names, objects)


@given(known=states, listed=states)
def test_the_changes_since_a_list_lead_from_what_was_known_to_what_is_there(
    known: dict[Name, Seen], listed: dict[Name, Seen]
) -> None:
    state = dict(known)
    for name, change in since(known, listed, 9):
        assert change.before == state.get(name)
        assert change.before != change.after
        if change.before and change.after:
            assert change.before.uid == change.after.uid
        if change.after is None:
            del state[name]
        else:
            state[name] = change.after
    assert state == listed


def test_a_namesake_is_another_object() -> None:
    old = Seen(namespace="ns", name="a", uid="1", version=1)
    new = Seen(namespace="ns", name="a", uid="2", version=2)
    assert list(step(old, new, 2)) == [Change(old, None, 2), Change(None, new, 2)]
    assert list(step(old, old, 1)) == []
    assert list(step(None, None, 1)) == []


class Journal:
    """What a watch told, as (name, what happened)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self._news = asyncio.Condition()

    async def tell(self, change: Change[Seen]) -> None:
        word = "gone" if change.after is None else "changed" if change.before else "new"
        told = change.after or change.before
        assert told
        async with self._news:
            self.lines.append((told.name, word))
            self._news.notify_all()

    async def until(self, *lines: tuple[str, str]) -> None:
        async with asyncio.timeout(40), self._news:
            await self._news.wait_for(lambda: all(line in self.lines for line in lines))


@contextlib.asynccontextmanager
async def following(watch: Watch[Seen]) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(40):
            await watch.synced.wait()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def watch_of(admin: Cluster, name: str, journal: Journal) -> Watch[Seen]:
    return Watch(admin, CONFIG_MAPS, Seen.of, journal.tell, labels={"test": name})


async def make(admin: Cluster, name: str, which: str, **data: str) -> None:
    await apply(admin, CONFIG_MAPS, f"{name}-{which}", "default", data=data, metadata={"labels": {"test": name}})


async def test_what_is_there_comes_first_and_then_what_happens(admin: Cluster, name: str) -> None:
    await make(admin, name, "a")
    journal = Journal()
    async with following(watch_of(admin, name, journal)):
        await make(admin, name, "a", x="1")
        await make(admin, name, "b")
        await admin.delete(CONFIG_MAPS, f"{name}-a", "default")
        await journal.until((f"{name}-a", "gone"))
    assert journal.lines == [
        (f"{name}-a", "new"),
        (f"{name}-a", "changed"),
        (f"{name}-b", "new"),
        (f"{name}-a", "gone"),
    ]


async def test_after_a_version_that_is_too_old_it_lists_again_and_tells_the_difference(
    control_plane: ControlPlane, admin: Cluster, name: str
) -> None:
    """An API server that has just started knows no history: to a watch from long ago it answers 410."""
    control_plane.signal("apiserver", "KILL")
    await control_plane.answers()
    await make(admin, name, "same")
    await make(admin, name, "changed", x="1")
    await make(admin, name, "new")
    found = (await admin.list(CONFIG_MAPS, labels={"test": name}))["items"]
    listed = {each["metadata"]["name"].removeprefix(f"{name}-"): Seen.of(each) for each in found}
    journal = Journal()
    watch = watch_of(admin, name, journal)
    changed = listed["changed"]
    watch.known = {
        ("default", f"{name}-same"): listed["same"],
        ("default", f"{name}-changed"): Seen(changed.namespace, changed.name, changed.uid, 1),
        ("default", f"{name}-gone"): Seen("default", f"{name}-gone", "another", 1),
    }
    watch.version = "1"
    async with following(watch):
        pass
    assert sorted(journal.lines) == [(f"{name}-{each}", each) for each in ("changed", "gone", "new")]


async def test_a_killed_api_server_costs_nothing_but_time(
    control_plane: ControlPlane, admin: Cluster, name: str
) -> None:
    for which in ("a", "b", "c"):
        await make(admin, name, which)
    journal = Journal()
    async with following(watch_of(admin, name, journal)):
        control_plane.signal("apiserver", "KILL")
        await control_plane.answers()
        await make(admin, name, "a", x="1")
        await admin.delete(CONFIG_MAPS, f"{name}-b", "default")
        await make(admin, name, "d")
        await journal.until((f"{name}-d", "new"))
    assert journal.lines == [
        *((f"{name}-{which}", "new") for which in ("a", "b", "c")),
        (f"{name}-a", "changed"),
        (f"{name}-b", "gone"),
        (f"{name}-d", "new"),
    ]


async def test_an_object_that_is_none_of_our_business_is_as_good_as_gone(admin: Cluster, name: str) -> None:
    def remember(found: dict[str, object]) -> Seen | None:
        return Seen.of(found) if "ours" in found["metadata"].get("annotations", {}) else None  # type: ignore[attr-defined]

    journal = Journal()
    watch: Watch[Seen] = Watch(admin, NAMESPACES, remember, journal.tell, labels={"test": name})
    async with following(watch):
        for annotations in ({}, {"ours": ""}, {}):
            metadata = {"labels": {"test": name}, "annotations": annotations}
            await apply(admin, NAMESPACES, name, metadata=metadata)
        await journal.until((name, "gone"))
        await admin.delete(NAMESPACES, name)
    assert journal.lines == [(name, "new"), (name, "gone")]
