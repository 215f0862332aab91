"""Metrics of an Offering's own: what pods say is read as Prometheus does, within bounds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from tempfile import NamedTemporaryFile

import pytest
import yaml
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from shared.cluster import Cluster
from shared.errors import RetryLater
from shared.metering import reader
from shared.metering.custom import of_target, parsed, targets
from shared.metering.reader import Reader
from shared.offering import CustomMetric
from tests.shared.metering.builders import at
from tests.shared.metering.stats import HOME, OWNER, pod

ORDERS = CustomMetric(name="orders_total", port="http-metrics")
QUEUED = CustomMetric(name="queued", port="9090", path="/own")
OWN = OWNER._replace(custom=(ORDERS, QUEUED))
BEGAN = int(at(2).timestamp())


def test_each_port_and_path_is_asked_once_of_each_pod_that_runs() -> None:
    twice = OWNER._replace(custom=(ORDERS, CustomMetric(name="other", port="http-metrics"), QUEUED))
    found = [(each.url, each.names, each.uid, each.started) for each in targets(pod(), twice)]
    base = f"/api/v1/namespaces/{HOME}/pods/http:orders-0:9090/proxy"
    uid = f"pod-1/app/{BEGAN}"
    assert found == [
        (f"{base}/metrics", frozenset({"orders_total", "other"}), uid, at(2)),
        (f"{base}/own", frozenset({"queued"}), uid, at(2)),
    ]


@pytest.mark.parametrize("phase", ["Pending", "Succeeded"])
def test_a_pod_that_does_not_run_is_not_asked(phase: str) -> None:
    assert [*targets(pod(phase=phase), OWN)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('# TYPE orders counter\norders_total{shop="a"} 3\norders_total{shop="b"} 4.5\n', (True, 7.5)),
        ("# HELP orders_total x\n# TYPE orders_total counter\norders_total 3\n", (True, 3)),
        ("orders_total 3\n", (True, 3)),
        ("# TYPE orders_total gauge\norders_total 3\n", (False, 3)),
        ("orders_total 3 1700000000000\nanother 9\n", (True, 3)),
        ("orders_total NaN\n", None),
        ("orders_total_more 3\n", None),
        ("nonsense {{{\n", None),
        ('orders_total{shop="a 3\n', None),
        ("orders_total " + "9" * 5000 + "\n", None),
        ("", None),
    ],
    ids=[
        "labels are summed up",
        "the full name",
        "no type",
        "a gauge",
        "a time",
        "not a number",
        "another name",
        "nonsense",
        "half a line",
        "endless",
        "empty",
    ],
)
def test_what_a_pod_says_is_read_as_prometheus_does(text: str, expected: tuple[bool, float] | None) -> None:
    assert parsed(text, {"orders_total"}).get("orders_total") == expected


def test_a_value_below_zero_is_left_out() -> None:
    (target, _) = targets(pod(), OWN)
    found = of_target(target, OWN, "orders_total -3\n", at(30))
    assert (found.readings, found.subjects, found.odd) == ([], [], 1)


def test_a_number_is_a_reading_of_the_container_since_it_started() -> None:
    (target, _) = targets(pod(), OWN)
    found = of_target(target, OWN, "orders_total 12.5\n", at(30))
    (read,), (who,) = found.readings, found.subjects
    assert (read.subject, read.metric, read.units, read.type) == (
        f"pod-1/app/{BEGAN}",
        "custom:orders_total",
        12500,
        "counter",
    )
    assert (who.started_at, who.consumer, who.kind) == (at(2), "team-a", "pod")


@given(st.text() | st.builds("orders_total{}".format, st.text()))
def test_no_text_is_a_crash(text: str) -> None:
    parsed(text, {"orders_total"})


@pytest.fixture
async def answers() -> AsyncIterator[tuple[Reader, dict[str, str | float]]]:
    """In the place of the API server's pod proxy, which connects to no pod on loopback."""
    said: dict[str, str | float] = {}

    async def answer(request: web.Request) -> web.Response:
        assert request.path.endswith("/metrics")
        found = said["answer"]
        if isinstance(found, float):
            await asyncio.sleep(found)
        return web.Response(text=str(found))

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/proxy/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster = await Cluster.open(kubeconfig(runner.addresses[0][1]))
    yield Reader(cluster), said
    await cluster.close()
    await runner.cleanup()


def kubeconfig(port: int) -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "x", "user": {"token": "x"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    with NamedTemporaryFile("w", suffix=".yaml", delete=False) as file:
        yaml.safe_dump(config, file)
    return file.name


async def test_a_pod_is_asked_through_the_api_server(answers: tuple[Reader, dict[str, str | float]]) -> None:
    asking, said = answers
    said["answer"] = "orders_total 7\n"
    (target, _) = targets(pod(), OWN)
    before = datetime.now(UTC)
    (read,) = (await asking.custom(target, OWN)).readings
    assert (read.units, read.at >= before.replace(microsecond=0)) == (7000, True)


@pytest.mark.parametrize("answer", ["x" * (2 << 20), 2.0], ids=["too long", "too slow"])
async def test_a_pod_that_answers_without_end_is_given_up(
    answers: tuple[Reader, dict[str, str | float]], answer: str | float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking, said = answers
    said["answer"] = answer
    monkeypatch.setattr(reader, "CUSTOM_SECONDS", 0.3)
    (target, _) = targets(pod(), OWN)
    with pytest.raises(RetryLater):
        await asking.custom(target, OWN)
