"""Connecting to real NATS servers, as each kind of user; and what is said when they won't have us."""

from collections.abc import Mapping
from pathlib import Path

import nats
import pytest

from shared import nats_client
from shared.errors import RetryLater
from shared.nats_client import Unfit, connect, options
from tests.ports import free_port
from tests.shared.nats_servers import Key, Operator, server
from tests.shared.servers import Certificate


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("NATS_URL", "NATS_CA", "NATS_CREDS", "NATS_NKEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(nats_client, "CONNECT", 2.0)
    return monkeypatch


async def echoes(environment: pytest.MonkeyPatch, **given: object) -> bool:
    for name, value in given.items():
        environment.setenv(name, str(value))
    client = await connect("test")
    heard = await client.subscribe("x")
    await client.publish("x", b"hello")
    found = (await heard.next_msg(2)).data
    await nats_client.close(client)
    return found == b"hello"


async def test_over_tls_with_a_ca_of_its_own(
    tools: dict[str, str], tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    certificate = Certificate.make(tmp_path)
    (tmp_path / "ca.crt").write_text(certificate.ca)
    tls = f'tls {{ cert_file: "{certificate.chain}", key_file: "{certificate.key}" }}'
    with server(tools["nats-server"], tmp_path / "nats", tls) as address:
        assert await echoes(environment, NATS_URL=f"tls://{address}", NATS_CA=tmp_path / "ca.crt")
        assert await echoes(environment, NATS_URL=f"nats://{address}")
        environment.delenv("NATS_CA")
        environment.setenv("NATS_URL", f"tls://{address}")
        with pytest.raises(Unfit, match=r"not trusted.*NATS_CA"):
            await connect("test")


async def test_as_the_user_of_an_nkey(tools: dict[str, str], tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    ours, other = Key.make(), Key.make()
    for name, key in (("ours", ours), ("other", other)):
        (tmp_path / name).write_text(f"{key.seed}\n")
    users = f"authorization {{ users: [ {{ nkey: {ours.public} }} ] }}"
    with server(tools["nats-server"], tmp_path / "nats", users) as address:
        assert await echoes(environment, NATS_URL=f"nats://{address}", NATS_NKEY=tmp_path / "ours")
        environment.setenv("NATS_NKEY", str(tmp_path / "other"))
        with pytest.raises(Unfit, match="refuses the credentials: what NATS_NKEY names"):
            await connect("test")
        environment.delenv("NATS_NKEY")
        with pytest.raises(Unfit, match="set NATS_CREDS or NATS_NKEY"):
            await connect("test")


async def test_with_a_credentials_file_where_operators_and_accounts_say_who_may(
    tools: dict[str, str], tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    operator, other = Operator(), Operator()
    with server(tools["nats-server"], tmp_path / "nats", operator.config) as address:
        good = operator.credentials(tmp_path / "good.creds")
        assert await echoes(environment, NATS_URL=f"nats://{address}", NATS_CREDS=good)
        environment.setenv("NATS_CREDS", str(other.credentials(tmp_path / "bad.creds")))
        with pytest.raises(Unfit, match="refuses the credentials: what NATS_CREDS names"):
            await connect("test")


async def test_a_server_that_is_not_there_is_for_later(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("NATS_URL", f"nats://127.0.0.1:{free_port()}")
    with pytest.raises(RetryLater, match="can't be reached") as later:
        await connect("test")
    assert not isinstance(later.value, Unfit)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"NATS_CA": "{}/no"}, "NATS_CA: .*/no can't be read: No such file"),
        ({"NATS_CA": "{}/junk"}, "NATS_CA: .* holds no certificates"),
        ({"NATS_CREDS": "{}/no"}, "NATS_CREDS: .*/no can't be read: No such file"),
        ({"NATS_CREDS": "{}/junk"}, "NATS_CREDS: .* is no credentials file"),
        ({"NATS_NKEY": "{}/no"}, "NATS_NKEY: .*/no can't be read: No such file"),
        ({"NATS_NKEY": "{}/junk"}, "NATS_NKEY: .* holds no nkey's seed"),
        ({"NATS_NKEY": "{}/junk", "NATS_CREDS": "{}/junk"}, "NATS_CREDS and NATS_NKEY are both set"),
    ],
    ids=lambda each: "+".join(each) if isinstance(each, dict) else "",
)
def test_what_can_not_be_read_is_named_with_its_variable(given: Mapping[str, str], says: str, tmp_path: Path) -> None:
    (tmp_path / "junk").write_text("junk\n")
    with pytest.raises(Unfit, match=says):
        options({name: value.format(tmp_path) for name, value in given.items()})


async def test_the_subject_says_who_it_is_since_nats_lets_nobody_else_publish_there(
    tools: dict[str, str], tmp_path: Path
) -> None:
    """The permissions of docs/nats.md."""

    def user(name: str) -> str:
        own = f"chandlery.out.request.answered.{name}"
        allowed = f'publish: ["chandlery.in.{name}.>"], subscribe: ["{own}", "{own}.>", "_INBOX_{name}.>"]'
        return f"{{ user: {name}, password: {name}, permissions: {{ {allowed} }} }}"

    config = f"authorization {{ users: [ {user('team-a')}, {user('team-b')}, {{ user: us, password: us }} ] }}"
    with server(tools["nats-server"], tmp_path / "nats", config) as address:
        us = await nats.connect(f"nats://us:us@{address}")
        await us.jetstream().add_stream(name="in", subjects=["chandlery.in.>"])
        errors: list[Exception] = []

        async def note(error: Exception) -> None:
            errors.append(error)

        prefix = b"_INBOX_team-a"
        a = await nats.connect(f"nats://team-a:team-a@{address}", error_cb=note, inbox_prefix=prefix)
        await a.jetstream().publish("chandlery.in.team-a.requests", b"mine")
        await a.publish("chandlery.in.team-b.requests", b"not mine")
        await a.publish("chandlery.in.provider:acme.requests", b"not mine")
        await a.subscribe("chandlery.out.request.answered.team-b")
        await a.flush()
        info = await us.jetstream().stream_info("in")
        assert info.state.messages == 1
        assert [str(each).lower().count("permissions violation") for each in errors] == [1, 1, 1]
        await a.close()
        await us.close()
