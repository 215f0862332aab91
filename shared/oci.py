"""Charts in OCI registries: a manifest names one layer, the layer is the archive.

A thin client over our own downloads and not PyPI's oras (0.2.43): that one has no time limits, retries by sleeping for
two minutes, follows redirects from https to http, reads manifests of any size, asks the machine's Docker configuration
and credential helpers for passwords, and sends passwords to whatever realm a registry names, by http too.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from yarl import URL

from shared.archive import COMPRESSED_LIMIT
from shared.credentials import DOCKER_HUB, FIELD, Credentials
from shared.download import Answer, Client, Request, check, check_scheme, loopback, shown_url
from shared.errors import Refused

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SMALL = 4 * 1024 * 1024

_REFERENCE = re.compile(
    r"oci://(?P<host>[^/@?#]+)/(?P<repository>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[\w][\w.+-]{0,127}))?(?:@(?P<digest>sha256:[a-f0-9]{64}))?",
    re.ASCII,
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Reference:
    host: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"oci://{self.host}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse(text: str, field: str, version: str | None = None) -> Reference:
    """`version` stands in for a tag that is not there."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise Refused("InvalidSource", f"{field}: write oci://host/path:version, without user or password")
    tag = match["tag"] or version or ""
    if not tag and not match["digest"]:
        raise Refused("InvalidSource", f"{field}: says no version; write {text}:1.2.3 or {text}@sha256:...")
    # A tag has no +, so Helm pushes 1.2.3+x as 1.2.3_x.
    return Reference(match["host"], match["repository"], tag.replace("+", "_"), match["digest"] or "")


@dataclass(frozen=True)
class Layer:
    digest: str
    size: int


@dataclass(frozen=True)
class Challenge:
    """How a registry wants to be asked."""

    scheme: str
    realm: str = ""
    service: str = ""
    scope: str = ""


def challenge_of(header: str) -> Challenge:
    scheme, _, rest = header.partition(" ")
    said = dict(_CHALLENGE.findall(rest))
    return Challenge(scheme.lower(), said.get("realm", ""), said.get("service", ""), said.get("scope", ""))


def layer_of(manifest: bytes, reference: Reference) -> Layer:
    """The chart's layer, once the manifest is what was asked for."""
    if reference.digest and _digest(manifest) != reference.digest:
        raise Refused("DigestMismatch", f"{reference}: the registry's manifest is {_digest(manifest)}")
    layers = _json(manifest, str(reference)).get("layers")
    maps = [each for each in layers if isinstance(each, dict)] if isinstance(layers, list) else []
    found = [each for each in maps if each.get("mediaType") == CHART_LAYER]
    if len(found) != 1:
        raise Refused("NotAChart", f"{reference}: is not a chart (no layer {CHART_LAYER}); push one with `helm push`")
    digest, size = found[0].get("digest"), found[0].get("size")
    if not re.fullmatch(r"sha256:[a-f0-9]{64}", str(digest)) or not isinstance(size, int) or size < 0:
        raise Refused("NotAChart", f"{reference}: its manifest is broken (digest or size of the layer)")
    if size > COMPRESSED_LIMIT:
        raise Refused("ArchiveTooLarge", f"{reference}: has {size} bytes, more than 20 MiB")
    return Layer(str(digest), size)


async def pull(reference: Reference, client: Client, credentials: Credentials) -> bytes:
    host = "registry-1.docker.io" if reference.host in DOCKER_HUB else reference.host
    # A registry on loopback speaks http, unless a CA for it says otherwise.
    scheme = "http" if loopback(URL(f"//{host}").host) and not credentials.ca else "https"
    base = URL(f"{scheme}://{host}/v2/{reference.repository}/")
    registry = _Registry(client, credentials, f"Bearer {credentials.token}" if credentials.token else "")
    manifest = Request(base / "manifests" / (reference.digest or reference.tag), SMALL, accept=MANIFEST)
    layer = layer_of(await registry.get(manifest), reference)
    archive = await registry.get(Request(base / "blobs" / layer.digest, layer.size))
    if _digest(archive) != layer.digest:
        raise Refused("DigestMismatch", f"{reference}: its layer should be {layer.digest}, but is {_digest(archive)}")
    return archive


@dataclass
class _Registry:
    """Asks as an unknown first and answers the challenge once, as all clients do."""

    client: Client
    credentials: Credentials
    authorization: str

    async def get(self, request: Request) -> bytes:
        answer = await self.client.ask(replace(request, authorization=self.authorization))
        if answer.status == 401 and not self.authorization:
            self.authorization = await self._authorize(answer, request.url)
            answer = await self.client.ask(replace(request, authorization=self.authorization))
        check(answer, request.url)
        return answer.body

    async def _authorize(self, answer: Answer, url: URL) -> str:
        challenge = challenge_of(answer.headers.get("WWW-Authenticate", ""))
        if challenge.scheme == "basic" and self.credentials.basic:
            return self.credentials.basic
        if challenge.scheme != "bearer":
            check(answer, url)
        realm = token_url(challenge, url)
        given = await self.client.get(Request(realm, SMALL, self.credentials.basic, "application/json"))
        said = _json(given, shown_url(realm))
        token = said.get("token") or said.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            raise Refused("Unauthorized", f"{shown_url(realm)}: gives no token; check the Secret in {FIELD}")
        return f"Bearer {token}"


def token_url(challenge: Challenge, registry: URL) -> URL:
    """Where to ask for a token: what a registry reached by https names must be https too."""
    try:
        realm = URL(challenge.realm).with_user(None)
    except ValueError:
        realm = URL()
    where = f"{shown_url(registry.origin())}: sends for a token to "
    check_scheme(realm, where)
    if registry.scheme == "https" and realm.scheme != "https":
        raise Refused("UnsupportedSource", f"{where}{shown_url(realm)}: only https is allowed")
    query = {"service": challenge.service, "scope": challenge.scope}
    return realm.update_query({key: value for key, value in query.items() if value})


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(text: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("NotAChart", f"{where}: doesn't answer as an OCI registry does")
    return found
