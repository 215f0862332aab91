"""What is taken from a Secret, and that none of it is ever shown."""

import base64
import json
from typing import Any

import pytest

from shared.credentials import Credentials, check_usable, credentials, key_in
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


def named(kind: str = "Opaque", labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": "s", "labels": labels}, "type": kind, "data": secret(**data)}


OURS = {"app.kubernetes.io/managed-by": "chandlery"}


@pytest.mark.parametrize("kind", ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/dockerconfigjson"])
def test_secrets_with_credentials_may_be_named(kind: str) -> None:
    check_usable(named(kind), "f")
    check_usable(named(kind, {"app.kubernetes.io/managed-by": "Helm"}), "f")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        pytest.param(
            named("kubernetes.io/service-account-token"), "holds the token of a service account", id="account"
        ),
        pytest.param(named("bootstrap.kubernetes.io/token"), "lets nodes join the cluster", id="bootstrap"),
        pytest.param(named("helm.sh/release.v1"), "holds a Helm release", id="release"),
        pytest.param(named("Opaque", OURS), "is Chandlery's own", id="kubeconfig"),
    ],
)
def test_secrets_that_are_meant_for_others_are_refused(found: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused) as caught:
        check_usable(found, "spec.chart.auth.secretRef")
    assert caught.value.reason == "SecretNotAllowed"
    fix = "make a Secret with the credentials of the chart's server and name that"
    assert caught.value.message == f"spec.chart.auth.secretRef.name: Secret s {why}; {fix}"


def test_a_key_is_taken_from_a_secret() -> None:
    assert key_in(named(cosign_pub="PEM"), "cosign.pub", "f") == b"PEM"


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(named(), "f.name: Secret s has no key keyring; put the public key there", id="missing"),
        pytest.param(named(keyring=""), "Secret s has no key keyring", id="empty"),
        pytest.param(named(keyring="x" * (512 * 1024 + 1)), "has more than 512 KiB", id="large"),
    ],
)
def test_a_secret_without_the_key_is_refused(found: dict[str, Any], says: str) -> None:
    with pytest.raises(Refused, match=says) as caught:
        key_in(found, "keyring", "f")
    assert caught.value.reason == "InvalidKey"
