"""Certificates of the webhook: made once, used while they are good, and good enough for who calls it."""

import asyncio
import datetime
import ssl
from pathlib import Path

import pytest

from knative.certificates import AUTHORITY_LIFE, HOST, LIFE, RENEW, Files, kept, made
from knative.workloads import CERTIFICATES
from shared.cluster import Cluster
from shared.resources import SECRETS

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def first() -> Files:
    found = made({}, NOW)
    assert found is not None
    return found


def test_nothing_is_made_while_what_is_there_is_good(first: Files) -> None:
    assert made(first, NOW) is None
    assert made(first, NOW + LIFE - RENEW - DAY) is None


def test_a_certificate_is_renewed_in_time_and_the_authority_stays(first: Files) -> None:
    found = made(first, NOW + LIFE - RENEW + DAY)
    assert found is not None
    assert {name for name in first if found[name] != first[name]} == {"tls.crt", "tls.key"}


def test_an_authority_that_would_end_before_its_certificate_is_replaced(first: Files) -> None:
    found = made(first, NOW + AUTHORITY_LIFE - DAY)
    assert found is not None
    assert found["ca.crt"] != first["ca.crt"]


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
def test_what_somebody_took_away_is_made_again(first: Files, name: str) -> None:
    found = made({each: value for each, value in first.items() if each != name}, NOW)
    if name == "ca.key":  # then somebody else signs
        assert found is None
    else:
        assert found is not None
        assert set(found) == set(first)


def test_what_somebody_else_signs_is_let_be_until_it_ends(first: Files) -> None:
    foreign = {name: value for name, value in first.items() if name != "ca.key"}
    assert made(foreign, NOW + LIFE - DAY) is None
    assert made(foreign, NOW + LIFE + DAY) is not None


async def test_who_trusts_the_authority_trusts_the_server_by_its_name(first: Files, tmp_path: Path) -> None:
    for name, value in first.items():
        (tmp_path / name).write_bytes(value)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=HOST)
    writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname="elsewhere.svc")
    server.close()


async def test_pods_that_start_at_once_end_up_with_the_same(cluster: Cluster) -> None:
    metadata = {"name": CERTIFICATES, "namespace": "chandlery"}
    await cluster.create(SECRETS, {"metadata": metadata})
    try:
        found = await asyncio.gather(*[kept(cluster, NOW) for _ in range(5)])
        assert found == [found[0]] * 5
        assert made(found[0], NOW) is None
    finally:
        await cluster.delete(SECRETS, CERTIFICATES, "chandlery")
