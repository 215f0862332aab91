"""What a Kubernetes Secret knows about a server that charts come from. Never shown: neither by repr nor in messages."""

import base64
import binascii
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from shared.errors import Refused

FIELD = "spec.chart.auth.secretRef"
DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io")
NOT_FOR_CHARTS = {
    "kubernetes.io/service-account-token": "holds the token of a service account",
    "bootstrap.kubernetes.io/token": "lets nodes join the cluster",
    "helm.sh/release.v1": "holds a Helm release",
}
KEY_LIMIT = 512 * 1024
NEEDED = "it needs username and password, or token, or .dockerconfigjson; and ca.crt for a CA of your own"


@dataclass(frozen=True)
class Credentials:
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The Authorization header for username and password."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return f"Basic {pair}" if self.username else ""

    @property
    def authorization(self) -> str:
        """The Authorization header, empty when there is nothing to say."""
        return f"Bearer {self.token}" if self.token else self.basic

    def trust(self) -> ssl.SSLContext | None:
        """The system's CAs and our own; None for just the system's."""
        if not self.ca:
            return None
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(cadata=self.ca)
        except (ssl.SSLError, ValueError) as error:
            raise Refused("InvalidCredentials", f"{FIELD}: ca.crt is not a certificate in PEM") from error
        return context


def check_usable(secret: dict[str, Any], field: str) -> None:
    """An Offering may name any Secret of the namespace, and its server is then told: not what is meant for others."""
    labels = secret["metadata"].get("labels") or {}
    why = NOT_FOR_CHARTS.get(secret.get("type", ""))
    if labels.get("app.kubernetes.io/managed-by") == "chandlery":
        why = "is Chandlery's own"
    if why:
        fix = "make a Secret with the credentials of the chart's server and name that"
        raise Refused("SecretNotAllowed", f"{field}.name: Secret {secret['metadata']['name']} {why}; {fix}")


def key_in(secret: dict[str, Any], key: str, field: str) -> bytes:
    """One key of a Secret, as bytes."""
    name, data = secret["metadata"]["name"], secret.get("data") or {}
    if not data.get(key):
        raise Refused("InvalidKey", f"{field}.name: Secret {name} has no key {key}; put the public key there")
    found = base64.b64decode(data[key])
    if len(found) > KEY_LIMIT:
        raise Refused("InvalidKey", f"{field}.name: key {key} of Secret {name} has more than 512 KiB")
    return found


def credentials(secret_data: dict[str, str], host: str) -> Credentials:
    """From the `data` of a Secret, for one host (with its port, if any)."""
    username, password, token, docker, ca = (
        _decoded(secret_data, key) for key in ("username", "password", "token", ".dockerconfigjson", "ca.crt")
    )
    if docker and not token and not username:
        username, password = _docker_login(docker, host)
    if bool(username) != bool(password) and not token:
        there, missing = ("username", "password") if username else ("password", "username")
        raise Refused("InvalidCredentials", f"{FIELD}: the Secret has a {there} but no {missing}")
    if not (username or token or ca):
        raise Refused("InvalidCredentials", f"{FIELD}: the Secret is of no use; {NEEDED}")
    if not token.isprintable():
        raise Refused("InvalidCredentials", f"{FIELD}: token must be one line of text")
    return Credentials(username="" if token else username, password="" if token else password, token=token, ca=ca)


def _decoded(secret_data: dict[str, str], key: str) -> str:
    try:
        return base64.b64decode(secret_data.get(key, ""), validate=True).decode().strip("\r\n")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Refused("InvalidCredentials", f"{FIELD}: key {key} is not base64 of text") from error


def _docker_login(text: str, host: str) -> tuple[str, str]:
    try:
        auths = json.loads(text)["auths"]
        entries = {_host(name): entry for name, entry in auths.items()}
        found = next((entries[name] for name in _aliases(host) if name in entries), None)
        if found is not None:
            return _login(found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused("InvalidCredentials", f"{FIELD}: .dockerconfigjson is not a Docker configuration") from error
    fix = f"run `docker login {host}` before making the Secret"
    raise Refused("InvalidCredentials", f"{FIELD}: .dockerconfigjson has no entry for {host}; {fix}")


def _login(entry: dict[str, Any]) -> tuple[str, str]:
    if entry.get("username"):
        return str(entry["username"]), str(entry["password"])
    username, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
    return username, password


def _host(name: str) -> str:
    """Docker writes ghcr.io, https://ghcr.io and https://index.docker.io/v1/ for hosts."""
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _aliases(host: str) -> tuple[str, ...]:
    return DOCKER_HUB if host in DOCKER_HUB else (host,)
