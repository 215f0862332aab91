"""What is taken from a Secret, and that none of it is ever shown."""

import base64
import json

import pytest

from shared.credentials import Credentials, credentials
from shared.errors import Refused


def secret(**data: str) -> dict[str, str]:
    return {key.replace("_", "."): base64.b64encode(value.encode()).decode() for key, value in data.items()}


def docker(**auths: dict[str, str]) -> dict[str, str]:
    return secret(_dockerconfigjson=json.dumps({"auths": auths}))


LOGIN = {"auth": base64.b64encode(b"me:pa:ss").decode()}


@pytest.mark.parametrize(
    ("data", "host", "expected"),
    [
        pytest.param(secret(username="me", password="x\n"), "a", Credentials("me", "x"), id="login"),
        pytest.param(secret(token="t"), "a", Credentials(token="t"), id="token"),
        pytest.param(secret(ca_crt="PEM"), "a", Credentials(ca="PEM"), id="only a CA"),
        pytest.param(secret(username="me", token="t"), "a", Credentials(token="t"), id="token comes first"),
        pytest.param(docker(**{"ghcr.io": LOGIN}), "ghcr.io", Credentials("me", "pa:ss"), id="docker"),
        pytest.param(docker(**{"https://ghcr.io/v2/": LOGIN}), "ghcr.io", Credentials("me", "pa:ss"), id="docker URL"),
        pytest.param(
            docker(**{"https://index.docker.io/v1/": {"username": "me", "password": "x"}}),
            "docker.io",
            Credentials("me", "x"),
            id="Docker Hub",
        ),
    ],
)
def test_a_secret_is_understood(data: dict[str, str], host: str, expected: Credentials) -> None:
    assert credentials(data, host) == expected


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param({}, "is of no use", id="empty"),
        pytest.param(secret(username="me"), "has a username but no password", id="no password"),
        pytest.param(secret(password="hidden"), "has a password but no username", id="no username"),
        pytest.param({"token": "%%%"}, "key token is not base64", id="not base64"),
        pytest.param(secret(token="hid\nden"), "one line", id="lines"),
        pytest.param(
            docker(**{"other.io": LOGIN}), "no entry for ghcr.io; run `docker login ghcr.io`", id="other host"
        ),
        pytest.param(secret(_dockerconfigjson="[]"), "not a Docker configuration", id="no configuration"),
        pytest.param(secret(_dockerconfigjson="[" * 100_000), "not a Docker configuration", id="deep"),
    ],
)
def test_a_secret_that_is_of_no_use_is_refused(data: dict[str, str], says: str) -> None:
    with pytest.raises(Refused) as caught:
        credentials(data, "ghcr.io")
    assert caught.value.reason == "InvalidCredentials"
    assert says in caught.value.message
    assert "hid" not in caught.value.message


def test_a_ca_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match=r"ca\.crt is not a certificate"):
        Credentials(ca="hidden").trust()


def test_credentials_are_not_shown() -> None:
    assert repr(Credentials("hidden", "hidden", "hidden", "hidden")) == "Credentials()"
