"""Ordering over NATS: real NATS, the source, a real Broker, the API server's own decisions, and the answers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import nats
import pytest
import yaml
from aiohttp import web
from nats.aio.client import Client

from events.usage import UsageMeasured, UsageRecorded
from knative.local.stack import Stack
from shared.cluster import Cluster
from shared.resources import CONSUMERS, NAMESPACES, RESOURCE_QUOTAS, SYSTEM_NAMESPACE, Resource
from tests.e2e.test_faults import post
from tests.e2e.world import Object, World, conditions, is_ready

ORDERED = "dev.chandlery.instance.ordered.v1"
CANCELLED = "dev.chandlery.instance.cancelled.v1"
REPORTED = "dev.chandlery.usage.reported.v1"
ANSWERED = "chandlery.out.request.answered"
TRIGGERS = Resource("eventing.knative.dev", "v1", "triggers", "Trigger")
PARAMETERS: list[Object] = [{"path": "replicaCount", "name": "replicas"}]


class System:
    """An outside system: it knows NATS, nothing else."""

    def __init__(self, world: World, client: Client) -> None:
        self.world = world
        self.client = client
        self.stream = client.jetstream(timeout=10)
        self.sender = f"erp-{world.id}"
        self.heard: dict[str, list[Object]] = {}

    @property
    def namespace(self) -> str:
        return self.sender

    async def open(self) -> None:
        for subject in ("chandlery.out.>", "chandlery.dead.>", "_INBOX.erp.>"):
            await self.client.subscribe(subject, cb=self._hear)
        await self.client.flush()

    async def _hear(self, message: Any) -> None:
        found = json.loads(message.data) if message.data[:1] == b"{" else {"raw": message.data}
        self.heard.setdefault(message.subject, []).append({**found, "headers": dict(message.headers or {})})

    def named(self, short: str) -> str:
        return f"{short}-{self.world.id}"

    async def consumer(self, *offerings: str, **spec: Any) -> None:
        await self.consumer_named("erp", *offerings, **spec)

    async def consumer_named(self, short: str, *offerings: str, **spec: Any) -> None:
        name = self.named(short)
        body = {"metadata": {"name": name}, "spec": {"offerings": [*offerings], "nats": True, **spec}}
        await self.world.cluster.apply(CONSUMERS, body, "admin")

        async def ready() -> bool:
            return is_ready(await self.world.cluster.get(CONSUMERS, name))

        await self.world.eventually(ready, f"consumer {name} is ready")

    async def say(self, kind: str, identity: str | None = None, sender: str | None = None, **data: Any) -> str:
        identity = identity or uuid4().hex
        envelope = {"specversion": "1.0", "id": identity, "source": "/erp", "type": kind, "data": data}
        subject = f"chandlery.in.{sender or self.sender}.requests"
        await self.stream.publish(subject, json.dumps(envelope).encode())
        return identity

    async def order(self, offering: str, name: str, identity: str | None = None, **more: Any) -> str:
        data = {"offering": offering, "namespace": self.namespace, "name": name} | more
        return await self.say(ORDERED, identity, **data)

    def answers(self, identity: str, subject: str = ANSWERED) -> list[Object]:
        return [each for each in self.heard.get(subject, []) if each["data"]["message"]["id"] == identity]

    async def answer(self, identity: str, subject: str = ANSWERED) -> Object:
        async def found() -> Object | None:
            return next((each["data"] for each in self.answers(identity, subject)), None)

        async def heard() -> Any:
            return self.heard

        return await self.world.eventually(found, f"an answer to {identity}", heard, 40)

    async def buried(self, text: bytes) -> Object:
        async def found() -> Object | None:
            dead = self.heard.get("chandlery.dead.in", [])
            return next((each for each in dead if text in json.dumps(each, default=str).encode()), None)

        return await self.world.eventually(found, f"{text!r} is among the dead letters", limit=40)


@contextlib.asynccontextmanager
async def connected(world: World) -> AsyncIterator[System]:
    client = await nats.connect(f"nats://{world.stack.layout.address('nats')}", max_reconnect_attempts=-1)
    found = System(world, client)
    await found.open()
    yield found
    await client.close()
    for name in (found.sender, found.named("other")):
        await world.cluster.delete(CONSUMERS, name)
        await world.cluster.delete(NAMESPACES, name)


@pytest.fixture
async def system(world: World) -> AsyncIterator[System]:
    async with connected(world) as found:
        yield found


async def instance(system: System, kind: str, name: str) -> Object | None:
    return await system.world.cluster.get(system.world.kind(kind), name, system.namespace)


async def test_what_is_ordered_by_message_becomes_ready_and_is_answered_and_goes_when_it_is_cancelled(
    world: World, system: System
) -> None:
    offering = await world.offered("Page", "hello", parameters=PARAMETERS)
    await system.consumer(offering)
    identity = await system.order(offering, "front", reply="_INBOX.erp.1")
    answer = await system.answer(identity)
    assert (answer["outcome"], answer["reason"], answer["sender"]) == (
        "accepted",
        "Ordered",
        f"consumer/{system.sender}",
    )
    assert await system.answer(identity, "_INBOX.erp.1") == answer

    async def ready() -> bool:
        return is_ready(await instance(system, "Page", "front"))

    await world.eventually(ready, "the instance is ready", lambda: instance(system, "Page", "front"))

    async def told() -> bool:
        said = system.heard.get("chandlery.out.instance.ready", [])
        return answer["instance"]["uid"] in [each["data"]["instance"]["uid"] for each in said]

    await world.eventually(told, "outsiders are told that it is ready")
    where = {"offering": offering, "namespace": system.namespace, "name": "front"}
    assert (await system.answer(await system.say(CANCELLED, **where)))["reason"] == "Cancelled"

    async def gone() -> bool:
        return await instance(system, "Page", "front") is None

    await world.eventually(gone, "the instance is gone")
    assert (await system.answer(await system.say(CANCELLED, **where)))["reason"] == "Gone"


async def test_what_the_api_server_refuses_is_answered_with_the_field(world: World, system: System) -> None:
    offering = await world.offered("Page", "hello", parameters=PARAMETERS)
    await system.consumer(offering)
    elsewhere = await system.order(offering, "front", namespace=world.namespace)
    unknown = await system.order(offering, "front", spec={"colour_of_the_door": "red"})
    missing = await system.order("no-such-offering", "front")
    quota = {f"count/{world.kind('Page').plural}.{world.kind('Page').group}": "0"}
    body = {"metadata": {"name": "none", "namespace": system.namespace}, "spec": {"hard": quota}}
    await world.cluster.apply(RESOURCE_QUOTAS, body, "admin")
    await asyncio.sleep(1)
    full = await system.order(offering, "front")
    answers = {key: await system.answer(each) for key, each in vars_of(elsewhere, unknown, missing, full).items()}
    assert {key: (each["outcome"], each["field"]) for key, each in answers.items()} == {
        "elsewhere": ("refused", "namespace"),
        "unknown": ("refused", "spec.colour_of_the_door"),
        "missing": ("refused", "offering"),
        "full": ("refused", "spec"),
    }, answers
    assert await instance(system, "Page", "front") is None


def vars_of(*identities: str) -> dict[str, str]:
    return dict(zip(("elsewhere", "unknown", "missing", "full"), identities, strict=True))


async def test_what_a_limit_refuses_later_is_told_with_the_field(world: World, system: System) -> None:
    offering = await world.offered("Page", "hello")
    await system.consumer(offering, limits={offering: 1})
    first = await system.answer(await system.order(offering, "first"))
    second = await system.answer(await system.order(offering, "second"))
    assert [first["outcome"], second["outcome"]] == ["accepted", "accepted"]

    async def told() -> list[Object]:
        said = [each["data"] for each in system.heard.get("chandlery.out.instance.refused", [])]
        return [each for each in said if each["instance"]["namespace"] == system.namespace]

    (refused, *_) = await world.eventually(told, "outsiders are told of the refusal")
    assert "1 instance, and there are 1" in refused["message"], refused


async def test_the_same_message_twice_is_the_same_object_and_a_late_one_changes_nothing(
    world: World, system: System
) -> None:
    offering = await world.offered("Page", "hello", parameters=PARAMETERS)
    await system.consumer(offering)
    one = await system.order(offering, "front", spec={"replicas": 1})
    first = await system.answer(one)
    await system.order(offering, "front", one, spec={"replicas": 1})
    again = await system.order(offering, "front", spec={"replicas": 1})
    assert (await system.answer(again))["instance"] == first["instance"]
    assert len({each["id"] for each in system.answers(one)}) == 1
    changed = await system.answer(await system.order(offering, "front", spec={"replicas": 2}))
    assert changed["instance"]["uid"] == first["instance"]["uid"]
    assert changed["instance"]["generation"] > first["instance"]["generation"]
    found = await instance(system, "Page", "front")
    assert found
    assert found["spec"] == {"replicas": 2}
    await system.order(offering, "front", spec={})
    last = await system.answer(await system.order(offering, "front", spec={}))
    assert (await instance(system, "Page", "front") or {}).get("spec", {}) == {}, last


async def test_nonsense_is_buried_and_others_are_unharmed(world: World, system: System) -> None:
    offering = await world.offered("Page", "hello")
    await system.consumer(offering)
    subject = f"chandlery.in.{system.sender}.requests"
    await system.stream.publish(subject, f"no event {world.id}".encode())
    unknown = await system.say("dev.chandlery.instance.admitted.v1", namespace="a", name="b")
    assert (await system.answer(await system.order(offering, "front")))["outcome"] == "accepted"
    dead = await system.buried(unknown.encode())
    assert (dead["headers"]["Chandlery-Reason"], dead["headers"]["Chandlery-Subject"]) == ("UnknownType", subject)
    await system.buried(world.id.encode())


async def test_one_who_was_not_let_in_orders_nothing(world: World, system: System) -> None:
    offering = await world.offered("Page", "hello")
    await system.consumer(offering, nats=False)
    no = await system.answer(await system.order(offering, "front"))
    assert (no["outcome"], no["reason"]) == ("refused", "NotByNats")
    where = {"offering": offering, "namespace": system.namespace, "name": "front"}
    nobody = await system.answer(await system.say(ORDERED, sender=f"nobody-{world.id}", **where))
    assert (nobody["outcome"], nobody["reason"]) == ("refused", "UnknownSender")
    assert await instance(system, "Page", "front") is None


async def test_usage_counted_elsewhere_is_measured_for_whose_the_instance_is_and_for_nobody_else(
    world: World, system: System
) -> None:
    offering = await world.offered("Page", "hello", metering={"custom": [{"name": "hits", "port": "http"}]})
    await system.consumer(offering)
    await system.consumer_named("other", offering)
    await system.answer(await system.order(offering, "front"))
    usage: Object = {
        "offering": offering,
        "namespace": system.namespace,
        "name": "front",
        "metric": "seats",
        "value": 12.5,
    }
    usage["at"] = datetime.now(UTC).isoformat()
    async with listening(world, UsageMeasured.type) as heard:
        good = await system.answer(await system.say(REPORTED, **usage))
        other = await system.answer(await system.say(REPORTED, sender=system.named("other"), **usage))
        taken = await system.answer(await system.say(REPORTED, **usage | {"metric": "hits"}))
        assert (good["outcome"], good["reason"]) == ("accepted", "Measured"), good
        assert (other["outcome"], other["field"]) == ("refused", "namespace"), other
        assert (taken["outcome"], taken["field"]) == ("refused", "metric"), taken

        async def measured() -> list[UsageMeasured]:
            return [each for each in heard if each.origin == f"consumer/{system.sender}"]

        (said, *_) = await world.eventually(measured, "it is measured")
        found = await instance(system, "Page", "front")
        assert found
        assert [(each.metric, each.units) for each in said.readings] == [("custom:seats", 12_500)]
        assert [(each.instance_uid, each.consumer) for each in said.subjects] == [
            (found["metadata"]["uid"], system.sender)
        ]
        assert {each.origin for each in heard} == {f"consumer/{system.sender}"}


async def test_usage_that_was_recorded_is_told_once_however_often_it_is_said(world: World, system: System) -> None:
    hour = datetime(2026, 11, 1, 10, tzinfo=UTC)
    said = UsageRecorded(
        instance_uid=world.id,
        instance="a/b",
        offering="o",
        plan="",
        consumer_namespace="a",
        consumer="a",
        start=hour,
        end=hour.replace(hour=11),
        revision=1,
        amounts=[],
    )
    for _ in range(3):
        await post(world, said, world.id)
    newer = said.model_copy(update={"revision": 2})
    await post(world, newer, world.id, 2)

    async def told() -> list[Object]:
        found = system.heard.get("chandlery.out.usage.recorded", [])
        ours = [each for each in found if each["data"]["instance_uid"] == world.id]
        return ours if newer.model_dump(mode="json") in [each["data"] for each in ours] else []

    await world.eventually(told, "both revisions are told")
    kept = await system.stream.stream_info("chandlery-out", subjects_filter="chandlery.out.usage.recorded")
    stored = [
        json.loads((await system.stream.get_msg("chandlery-out", number)).data)
        for number in range(kept.state.first_seq, kept.state.last_seq + 1)
        if (await system.stream.get_msg("chandlery-out", number)).subject == "chandlery.out.usage.recorded"
    ]
    assert sorted(each["data"]["revision"] for each in stored if each["data"]["instance_uid"] == world.id) == [1, 2]


@contextlib.asynccontextmanager
async def listening(world: World, kind: str) -> AsyncIterator[list[UsageMeasured]]:
    """A Trigger of our own on Broker usage."""
    heard: list[UsageMeasured] = []

    async def take(request: web.Request) -> web.Response:
        heard.append(UsageMeasured.model_validate(await request.json()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    name = f"heard-{world.id}"
    spec = {"broker": "usage", "filters": [{"exact": {"type": kind}}], "subscriber": {"uri": url}}
    await world.cluster.apply(TRIGGERS, {"metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}, "spec": spec}, "t")

    async def ready() -> bool:
        found = await world.cluster.get(TRIGGERS, name, SYSTEM_NAMESPACE)
        return conditions(found).get("Ready", {}).get("status") == "True"

    try:
        await world.eventually(ready, "the Trigger is ready")
        yield heard
    finally:
        await world.cluster.delete(TRIGGERS, name, SYSTEM_NAMESPACE)
        await runner.cleanup()


@pytest.mark.parametrize(
    ("name", "rule", "fine"),
    [
        ("chandlery:act-as:consumer-a", {"resourceNames": ["consumer-a"]}, True),
        ("chandlery:act-as:consumer-a", {"resourceNames": ["consumer-b"]}, False),
        ("chandlery:act-as:grant-access", {"resourceNames": ["grant-access"]}, False),
        ("chandlery:act-as:consumer-a", {}, False),
        ("chandlery:act-as:consumer-a", {"resourceNames": ["consumer-a"], "resources": ["users"]}, False),
        ("chandlery:other", {"resourceNames": ["consumer-a"]}, False),
    ],
    ids=["one", "another's", "a function", "all", "users", "another role"],
)
def test_the_right_to_act_as_somebody_is_given_for_one_consumer_at_a_time(
    name: str, rule: Object, fine: bool, world: World
) -> None:
    whole = {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]} | rule
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": [whole]}
    body = role | {"metadata": {"name": name, "namespace": SYSTEM_NAMESPACE}}
    as_it = "--as=system:serviceaccount:chandlery:grant-access"
    arguments = ["apply", "--server-side", "--dry-run=server", "--field-manager=t", as_it, "-f", "-"]
    said = world.kubectl(*arguments, given=yaml.safe_dump(body), fails=not fine)
    assert fine or "denied request" in said


@pytest.mark.xdist_group("faults")
async def test_hundreds_of_messages_are_all_answered_while_nats_the_source_and_the_function_are_killed(
    fault_stack: Stack,
) -> None:
    cluster = await Cluster.open(str(fault_stack.layout.kubeconfig))
    world = World(fault_stack, cluster)
    await world.open()
    async with connected(world) as system:
        offering = await world.offered("Page", "hello")
        await system.consumer(offering)
        where = {"offering": offering, "namespace": system.namespace}
        waiting = [await system.say(CANCELLED, name=f"i{number}", **where) for number in range(500)]
        for victim in ("nats-source", "accept-request", "nats", "tell-outsiders"):
            await asyncio.sleep(1)
            fault_stack.signal(victim, "KILL")

        async def stored() -> int:
            info = await system.stream.stream_info("chandlery-in")
            return int(info.state.messages)

        async def empty() -> bool:
            with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, TimeoutError):
                return await stored() == 0
            return False

        await world.eventually(empty, "every message is dealt with", limit=200)
        answered: dict[str, str] = {}
        info = await system.stream.stream_info("chandlery-out")
        for number in range(info.state.first_seq, info.state.last_seq + 1):
            found = await system.stream.get_msg("chandlery-out", number)
            if found.subject == ANSWERED:
                data = json.loads(found.data)["data"]
                answered[data["message"]["id"]] = data["outcome"]
        assert {identity: answered.get(identity) for identity in waiting} == dict.fromkeys(waiting, "accepted")
        front = await system.answer(await system.order(offering, "front"))
        assert front["outcome"] == "accepted"
    await world.close()
    await cluster.close()
