"""Prices reach the ledger and usage reaches instances, on a real API server, through the real Brokers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from cloudevents.conversion import to_binary

from events.base import Event, event_id
from events.catalog import BY_TYPE
from events.readings import CPU, MEMORY, NETWORK_TRANSMITTED, Reading, Subject
from events.usage import Amount, UsageRecorded
from shared.errors import ApiError
from shared.function import envelope_of
from shared.metering.ledger import Ledger
from shared.metering.prices import Price
from shared.resources import OFFERINGS
from tests.e2e.world import World

PARAMETERS = [{"path": "message"}]
HOUR = datetime(2026, 11, 1, 8, tzinfo=UTC)
SOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)


@pytest.fixture
async def ledger(world: World) -> AsyncIterator[Ledger]:
    """The stack's own."""
    found = await Ledger.open(f"sqlite+aiosqlite:///{world.stack.layout.ledger}")
    yield found
    await found.close()


def asked(amount: str, **more: str) -> dict[str, str]:
    return {"per": "cpu-core-hour", "amount": amount, "currency": "EUR", **more}


async def offer(world: World, *prices: dict[str, str], **spec: Any) -> str:
    return await world.offered("Small", "small", parameters=PARAMETERS, metering={"prices": [*prices]}, **spec)


async def noted(ledger: Ledger, offering: str) -> list[tuple[str, str, Decimal]]:
    return [(each.per, each.plan, each.amount) for each in await ledger.prices() if each.offering == offering]


async def test_prices_are_noted_and_only_followed_by_others(world: World, ledger: Ledger) -> None:
    name = await offer(world, asked("0.04"), asked("0.03", plan="big"), plans=[{"name": "big", "default": True}])
    said = await world.offering_says("Small", "Priced", "Noted")
    assert (said["status"], said["message"]) == ("True", "in the ledger: 2 of 2")
    before = [("cpu-core-hour", "", Decimal("0.04")), ("cpu-core-hour", "big", Decimal("0.03"))]
    assert sorted(await noted(ledger, name)) == before

    plans = [{"name": "big", "default": True}]
    await offer(world, asked("0.05"), asked("0.03", plan="big"), plans=plans)
    said = await world.offering_says("Small", "Priced", "PriceChanged")
    assert said["status"] == "False"
    assert "spec.metering.prices: " in said["message"]
    assert "give the new price a new validFrom" in said["message"]
    assert sorted(await noted(ledger, name)) == before

    await offer(world, asked("0.04"), plans=plans)
    said = await world.offering_says("Small", "Priced", "PriceMissing")
    assert "cpu-core-hour of plan big costs 0.03 EUR, and goes on to" in said["message"]

    later = asked("0.05", validFrom=f"{SOON:%Y-%m-%dT%H:00:00Z}")
    await offer(world, asked("0.04"), later, asked("0.03", plan="big"), plans=plans)
    await world.offering_says("Small", "Priced", "Noted")
    (new,) = [each for each in await ledger.prices() if each.offering == name and each.amount == Decimal("0.05")]
    assert new == Price(name, "", "cpu-core-hour", Decimal("0.05"), "EUR", SOON)


async def test_an_offering_without_prices_says_nothing_of_them(world: World) -> None:
    await world.offered("Small", "small", parameters=PARAMETERS)
    kinds = {each["type"] for each in ((await world.offering("Small")) or {})["status"]["conditions"]}
    assert "Priced" not in kinds


@pytest.mark.parametrize(
    ("prices", "reason", "says"),
    [
        ([asked("1"), asked("2")], "PriceTwice", "spec.metering.prices[1]: cpu-core-hour has a price already"),
        ([asked("1", plan="no")], "NoSuchPlan", "spec.metering.prices[0].plan: there is no plan no in spec.plans"),
    ],
    ids=["twice", "no plan"],
)
async def test_prices_that_cant_be_meant_are_refused(
    world: World, ledger: Ledger, prices: list[dict[str, str]], reason: str, says: str
) -> None:
    name = await offer(world, *prices)
    said = await world.offering_says("Small", "Priced", reason)
    assert says in said["message"]
    assert await noted(ledger, name) == []


@pytest.mark.parametrize(
    "price",
    [
        asked("-1"),
        asked("1e3"),
        asked("1") | {"per": "cpu"},
        asked("1") | {"currency": "euro"},
        asked("1", validFrom="2026-11-01T00:30:00Z"),
        asked("1", validFrom="2026-11-01T00:00:00+00:30"),
        asked("1", validFrom="9999-11-01T00:00:00Z"),
        asked("1") | {"per": "custom:a\u00a0b"},
    ],
    ids=lambda price: " ".join(price.values()),
)
async def test_the_api_server_refuses_what_is_no_price(world: World, price: dict[str, str]) -> None:
    with pytest.raises(ApiError, match=r"spec\.metering\.prices\[0\]"):
        await world.offer("Small", "small", metering={"prices": [price]})
    assert await world.cluster.get(OFFERINGS, world.offering_name("Small")) is None


async def post(world: World, said: Event, *cause: object) -> None:
    broker = BY_TYPE[said.type].broker
    headers, body = to_binary(envelope_of(said, "/chandlery/test", event_id(said.type, *cause)))
    url = f"http://{world.stack.layout.address('ingress')}/chandlery/{broker}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        assert answer.status < 300


def recorded(world: World, uid: str, hour: int, revision: int, cores: int) -> UsageRecorded:
    start = HOUR + timedelta(hours=hour)
    return UsageRecorded(
        instance_uid=uid,
        instance=f"{world.namespace}/one",
        offering=world.offering_name("Small"),
        plan="",
        consumer_namespace=world.namespace,
        consumer="",
        start=start,
        end=start + timedelta(hours=1),
        revision=revision,
        amounts=[
            Amount(metric=CPU, type="counter", amount=cores * 3600 * 10**9, gap_ms=0),
            Amount(metric=MEMORY, type="gauge", amount=3 * 2**29 * 3_600_000, gap_ms=90_000),
            Amount(metric=NETWORK_TRANSMITTED, type="counter", amount=2**30, gap_ms=0),
            Amount(metric="custom:orders", type="counter", amount=1500, gap_ms=0),
        ],
    )


ORDERS = [[0, 1, 2], [2, 1, 0], [1, 2, 0]]


async def test_an_instance_shows_the_newest_hour_however_events_come(world: World) -> None:
    await world.offered("Small", "small", parameters=PARAMETERS)
    await world.order("Small", "one")
    uid = (await world.ready("Small", "one"))["metadata"]["uid"]
    for turn, order in enumerate(ORDERS):
        events = [
            recorded(world, uid, 2 * turn + hour, revision, cores)
            for hour, revision, cores in ((0, 9, 5), (1, 1, 1), (1, 2, 3))
        ]
        stranger = recorded(world, "another-uid", 99, 1, 7)
        await asyncio.gather(
            *[
                post(world, each, world.id, turn, copy, index)
                for copy in "ab"
                for index, each in enumerate([events[which] for which in order] + [stranger])
            ]
        )
        start = HOUR + timedelta(hours=2 * turn + 1)
        expected = {
            "start": f"{start:%FT%TZ}",
            "end": f"{start + timedelta(hours=1):%FT%TZ}",
            "revision": 2,
            "plan": "",
            "cpuCoreHours": 3,
            "memoryGiBHours": 1.5,
            "network": {"transmittedGiB": 1},
            "custom": {"orders": 1.5},
            "gapSeconds": 90,
        }

        async def shown(expected: dict[str, Any] = expected) -> bool:
            found = await world.instance("Small", "one")
            return found is not None and found["status"].get("usage") == expected

        await world.eventually(shown, "the newest hour is shown", lambda: world.instance("Small", "one"))
        await asyncio.sleep(1)
        assert await shown()
    assert (await world.ready("Small", "one"))["status"]["release"]["revision"] == 1


async def test_prometheus_sees_what_instances_used(world: World, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    who = {"instance_uid": world.id, "instance": f"{world.namespace}/one", "offering": "any", "plan": "small"}
    started = now - timedelta(seconds=120)
    pod = Subject(uid=f"pod-{world.id}", kind="pod", name="one-0", seen_last=now, started_at=started, **who)
    read = Reading(subject=pod.uid, kind="pod", metric=CPU, at=now, value=60 * 10**9)
    await ledger.record([read], [pod], now)
    url = f"http://{world.stack.layout.address('functions')}/expose_usage"
    line = f'instance="one",namespace="{world.namespace}",offering="any",plan="small",uid="{world.id}"}} 60.0'
    async with aiohttp.ClientSession() as session:

        async def seen() -> bool:
            async with session.get(url) as answer:
                assert answer.content_type == "application/openmetrics-text"
                return line in await answer.text()

        await world.eventually(seen, "the counter is shown", limit=80)
        async with session.post(url) as answer:
            assert answer.status == 405
