"""Ordering over NATS: real NATS, the source, a real Broker, the API server's own decisions, and the answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client

from shared.resources import CONSUMERS, NAMESPACES, RESOURCE_QUOTAS
from tests.e2e.world import Object, World, is_ready

ORDERED = "dev.chandlery.instance.ordered.v1"
CANCELLED = "dev.chandlery.instance.cancelled.v1"
ANSWERED = "chandlery.out.request.answered"
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

    async def consumer(self, *offerings: str, **spec: Any) -> None:
        body = {"metadata": {"name": self.sender}, "spec": {"offerings": [*offerings], "nats": True, **spec}}
        await self.world.cluster.apply(CONSUMERS, body, "admin")

        async def ready() -> bool:
            return is_ready(await self.world.cluster.get(CONSUMERS, self.sender))

        await self.world.eventually(ready, f"consumer {self.sender} is ready")

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


@pytest.fixture
async def system(world: World) -> AsyncIterator[System]:
    client = await nats.connect(f"nats://{world.stack.layout.address('nats')}", max_reconnect_attempts=-1)
    found = System(world, client)
    await found.open()
    yield found
    await client.close()
    await world.cluster.delete(CONSUMERS, found.sender)
    await world.cluster.delete(NAMESPACES, found.namespace)


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
