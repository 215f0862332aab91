"""Charts in OCI registries: a manifest names one layer, the layer is the archive.

A thin client over our own downloads and not PyPI's oras (0.2.43): that one has no time limits, retries by sleeping for
two minutes, follows redirects from https to http, reads manifests of any size, asks the machine's Docker configuration
and credential helpers for passwords, and sends passwords to whatever realm a registry names, by http too.
"""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from yarl import URL

from shared.archive import COMPRESSED_LIMIT, PROV_LIMIT
from shared.credentials import DOCKER_HUB, FIELD, Credentials
from shared.download import Answer, Client, Request, check, check_scheme, checked, loopback, missing, shown_url
from shared.errors import Refused
from shared.offering import Verify
from shared.provenance import Evidence, Signature

CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
PROV_LAYER = "application/vnd.cncf.helm.chart.provenance.v1.prov"
COSIGN_LAYER = "application/vnd.dev.cosign.simplesigning.v1+json"
COSIGN_ANNOTATION = "dev.cosignproject.cosign/signature"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SMALL = 4 * 1024 * 1024
PAYLOAD_LIMIT = 64 * 1024
SIGNATURES = 20
"""Each is a request: of an artifact that was signed more often, the newest count."""

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
    if not match["tag"] and not re.fullmatch(r"[\w.+-]*", tag, re.ASCII):
        raise Refused(
            "InvalidSource", f"spec.chart.version: {tag!r} is no version; only a repository takes ranges, not oci://"
        )
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
    found = _layers(manifest, reference, CHART_LAYER)
    if len(found) != 1:
        raise Refused("NotAChart", f"{reference}: is not a chart (no layer {CHART_LAYER}); push one with `helm push`")
    layer = _layer(found[0], reference)
    if layer.size > COMPRESSED_LIMIT:
        raise Refused("ArchiveTooLarge", f"{reference}: has {layer.size} bytes, more than 20 MiB")
    return layer


def prov_layer_of(manifest: bytes, reference: Reference) -> Layer | None:
    """Where `helm push` put the .prov, if there was one beside the archive."""
    found = _layers(manifest, reference, PROV_LAYER)
    return _layer(found[0], reference) if found else None


def signatures_of(manifest: bytes, reference: Reference) -> list[tuple[Layer, bytes]]:
    """Of cosign's manifest: where each signed payload is, and its signature."""
    found = _layers(manifest, reference, COSIGN_LAYER)[-SIGNATURES:]
    return [(_layer(each, reference), _signature(each)) for each in found]


def _signature(layer: dict[str, Any]) -> bytes:
    """What is none verifies nothing."""
    annotations = layer.get("annotations")
    said = annotations.get(COSIGN_ANNOTATION) if isinstance(annotations, dict) else None
    try:
        return base64.b64decode(str(said), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _layers(manifest: bytes, reference: Reference, media_type: str) -> list[dict[str, Any]]:
    layers = _json(manifest, str(reference)).get("layers")
    maps = [each for each in layers if isinstance(each, dict)] if isinstance(layers, list) else []
    return [each for each in maps if each.get("mediaType") == media_type]


def _layer(layer: dict[str, Any], reference: Reference) -> Layer:
    digest, size = layer.get("digest"), layer.get("size")
    if not re.fullmatch(r"sha256:[a-f0-9]{64}", str(digest)) or not isinstance(size, int) or size < 0:
        raise Refused("NotAChart", f"{reference}: its manifest is broken (digest or size of the layer)")
    return Layer(str(digest), size)


async def pull(
    reference: Reference, client: Client, credentials: Credentials, verify: Verify
) -> tuple[bytes, Evidence]:
    """The archive, and what `verify` asks for."""
    registry = _Registry(
        client,
        credentials,
        f"Bearer {credentials.token}" if credentials.token else "",
        _base(reference, credentials),
        reference,
    )
    manifest = await registry.get(registry.manifest(reference.digest or reference.tag))
    archive = await registry.blob(layer_of(manifest, reference))
    prov = prov_layer_of(manifest, reference) if verify.keyring else None
    if prov and prov.size > PROV_LIMIT:
        raise Refused("SignatureInvalid", f"{reference}: its .prov has {prov.size} bytes, more than 1 MiB")
    return archive, Evidence(
        prov=await registry.blob(prov) if prov else None,
        manifest=_digest(manifest),
        signatures=await _signatures(registry, _digest(manifest)) if verify.cosign else (),
    )


async def _signatures(registry: "_Registry", digest: str) -> tuple[Signature, ...]:
    """cosign keeps them in the same repository, under a tag made of the digest."""
    manifest = await registry.find(registry.manifest(digest.replace(":", "-") + ".sig"))
    if manifest is None:
        return ()
    found = [
        (layer, signature)
        for layer, signature in signatures_of(manifest, registry.reference)
        if layer.size <= PAYLOAD_LIMIT
    ]
    return tuple([Signature(await registry.blob(layer), signature) for layer, signature in found])


def _base(reference: Reference, credentials: Credentials) -> URL:
    host = "registry-1.docker.io" if reference.host in DOCKER_HUB else reference.host
    # A registry on loopback speaks http, unless a CA for it says otherwise.
    scheme = "http" if loopback(URL(f"//{host}").host) and not credentials.ca else "https"
    return URL(f"{scheme}://{host}/v2/{reference.repository}/")


@dataclass
class _Registry:
    """Asks as an unknown first and answers the challenge once, as all clients do."""

    client: Client
    credentials: Credentials
    authorization: str
    base: URL
    reference: Reference

    def manifest(self, name: str) -> Request:
        return Request(self.base / "manifests" / name, SMALL, accept=MANIFEST)

    async def blob(self, layer: Layer) -> bytes:
        found = await self.get(Request(self.base / "blobs" / layer.digest, layer.size))
        if _digest(found) != layer.digest:
            why = f"its layer should be {layer.digest}, but is {_digest(found)}"
            raise Refused("DigestMismatch", f"{self.reference}: {why}")
        return found

    async def find(self, request: Request) -> bytes | None:
        answer = await self._ask(request)
        return None if missing(answer) else checked(answer, request.url)

    async def get(self, request: Request) -> bytes:
        return checked(await self._ask(request), request.url)

    async def _ask(self, request: Request) -> Answer:
        answer = await self.client.ask(replace(request, authorization=self.authorization))
        if answer.status == 401 and not self.authorization:
            self.authorization = await self._authorize(answer, request.url)
            answer = await self.client.ask(replace(request, authorization=self.authorization))
        return answer

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
