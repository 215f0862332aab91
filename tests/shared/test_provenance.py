"""Signatures that real Helm, a real registry and the cryptography library made, and what is no such thing."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared import fetch, provenance
from shared.errors import Refused
from shared.offering import ChartSource
from shared.provenance import Evidence, Keys, Signature
from tests.ports import free_port
from tests.shared.archives import CHART
from tests.shared.servers import helm_push, running
from tests.shared.signing import PrivateKey, cosign, keyring, packed, payload, pem, signed
from tests.shared.web import says, site

NAME = "hello-1.2.3.tgz"
KEY = {"secretRef": {"name": "key"}}


@pytest.fixture(scope="session", autouse=True)
def helm_on_path(tools: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(tools['helm']).parent}{os.pathsep}{os.environ['PATH']}")
        yield


@pytest.fixture(scope="session")
def chart_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("charts") / "hello"
    folder.mkdir()
    (folder / "Chart.yaml").write_text(CHART)
    return folder


@pytest.fixture(scope="session")
def chart(tools: dict[str, str], chart_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive and its .prov, signed by `trusted`."""
    return packed(tools["helm"], chart_folder, tmp_path_factory.mktemp("packed"), "trusted")


async def prov_refused(archive: bytes, prov: bytes | None, ring: bytes, filename: str = NAME) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        await provenance.check(archive, filename, Evidence(prov=prov), Keys(keyring=ring))
    return caught.value.reason, caught.value.message


async def test_a_prov_by_a_key_of_the_ring_is_good(chart: tuple[Path, Path]) -> None:
    archive, prov = (each.read_bytes() for each in chart)
    armored = keyring("trusted")
    rings = [
        armored,
        provenance.binary(armored),
        armored.replace(b"\n", b"\r\n"),
        keyring("stranger") + armored,
        provenance.binary(keyring("stranger")) + provenance.binary(armored),
    ]
    for ring in rings:
        await provenance.check(archive, NAME, Evidence(prov=prov), Keys(keyring=ring))


async def test_nothing_is_asked_without_keys() -> None:
    await provenance.check(b"", NAME, Evidence(), Keys())


async def test_what_is_not_signed_as_it_should_be_is_refused(chart: tuple[Path, Path]) -> None:
    archive, prov = (each.read_bytes() for each in chart)
    ring = keyring("trusted")
    tampered = prov.replace(b"name: hello", b"name: hallo")
    found = {
        "missing": await prov_refused(archive, None, ring),
        "stranger": await prov_refused(archive, prov, keyring("stranger")),
        "other archive": await prov_refused(archive + b"x", prov, ring),
        "other version": await prov_refused(archive, prov, ring, "hello-1.2.4.tgz"),
        "tampered": await prov_refused(archive, tampered, ring),
        "no prov": await prov_refused(archive, b"hello", ring),
        "empty": await prov_refused(archive, b"", ring),
        "no ring": await prov_refused(archive, prov, b"hello"),
        "damaged ring": await prov_refused(archive, prov, ring.replace(b"mDM", b"m?M")),
        "empty armor": await prov_refused(archive, prov, b"-----BEGIN PGP NOTHING-----"),
        "odd name": await prov_refused(archive, prov, ring, "a\0b.tgz"),
    }
    assert {what: reason for what, (reason, _) in found.items()} == {
        "missing": "SignatureMissing",
        "stranger": "SignatureInvalid",
        "other archive": "SignatureInvalid",
        "other version": "SignatureInvalid",
        "tampered": "SignatureInvalid",
        "no prov": "SignatureInvalid",
        "empty": "SignatureInvalid",
        "no ring": "InvalidKey",
        "damaged ring": "InvalidKey",
        "empty armor": "InvalidKey",
        "odd name": "NotAChart",
    }
    del found["odd name"]
    assert all(message.startswith("spec.chart.verify.keyring") for _, message in found.values())
    assert found["stranger"][1] == (
        "spec.chart.verify.keyring: no key of the keyring made its .prov; "
        "add the signer's public key, or sign it with `helm package --sign`"
    )
    assert "its .prov signs another archive (sha256 sum does not match for hello-1.2.3.tgz" in found["other archive"][1]
    assert not any("chandlery-verify-" in message for _, message in found.values())


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


@pytest.fixture(scope="session")
def registry(tools: dict[str, str], chart: tuple[Path, Path]) -> Iterator[str]:
    """With the chart and its .prov in it, as `helm push` puts them."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with running([tools["registry"], "-listen", address], port):
        helm_push(tools["helm"], chart[0], address, "--plain-http")
        yield address


async def test_a_prov_is_found_wherever_a_chart_is(
    chart: tuple[Path, Path], registry: str, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, prov = (each.read_bytes() for each in chart)
    monkeypatch.setenv("CHANDLERY_FILE_CHARTS", "1")
    monkeypatch.setenv("CHANDLERY_FILE_ROOT", str(chart[0].parent))
    index = f'entries: {{hello: [{{version: 1.2.3, urls: [{NAME}]}}], oci: [{{version: 1.2.3, urls: ["oci://{registry}/charts/hello:1.2.3"]}}]}}'
    async with site(index__yaml=says(index)) as web:
        web.routes |= {f"/{NAME}": says(archive), f"/{NAME}.prov": says(prov), "/bare.tgz": says(archive)}
        sources = [
            {"url": f"{web.url}/{NAME}?key=1"},
            {"repository": web.url, "name": "hello"},
            {"repository": web.url, "name": "oci"},
            {"url": f"oci://{registry}/charts/hello:1.2.3"},
            {"url": f"file:///{NAME}"},
        ]
        found = [(await fetched(source, session)).evidence.prov for source in sources]
        bare = await fetched({"url": f"{web.url}/bare.tgz"}, session)
    assert found == [prov] * len(sources)
    assert bare.evidence.prov is None


async def fetched(source: dict[str, str], session: aiohttp.ClientSession, by: str = "keyring") -> fetch.Fetched:
    return await fetch.fetch(ChartSource.model_validate({**source, "verify": {by: KEY}}), None, session)


async def test_a_folder_has_no_signature(
    chart_folder: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHANDLERY_FILE_CHARTS", "1")
    monkeypatch.setenv("CHANDLERY_FILE_ROOT", str(chart_folder.parent))
    with pytest.raises(Refused, match="only archives are signed; pack it, sign it with") as caught:
        await fetched({"url": "file:///hello"}, session)
    assert caught.value.reason == "SignatureMissing"


# cosign

P256 = ec.generate_private_key(ec.SECP256R1())
WEAK = rsa.generate_private_key(65537, 1024)  # noqa: S505 it is there to be refused
MANIFEST = "sha256:" + "1" * 64


def cosigned(*signatures: tuple[bytes, bytes], manifest: str = MANIFEST) -> Evidence:
    return Evidence(manifest=manifest, signatures=tuple(Signature(*each) for each in signatures))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(P256, hashes.SHA256(), id="P-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256(), id="P-384 with SHA-256"),
        pytest.param(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), id="P-384"),
        pytest.param(ec.generate_private_key(ec.SECP521R1()), hashes.SHA512(), id="P-521"),
        pytest.param(rsa.generate_private_key(65537, 2048), hashes.SHA256(), id="RSA"),
        pytest.param(ed25519.Ed25519PrivateKey.generate(), None, id="Ed25519"),
    ],
)
def test_a_signature_by_the_key_is_good_and_no_other(key: PrivateKey, algorithm: hashes.HashAlgorithm) -> None:
    said = payload(MANIFEST)
    good = said, signed(key, said, algorithm)
    noise = [(said, b""), (said, b"x" * 70), (payload("sha256:" + "2" * 64), signed(key, said, algorithm))]
    provenance.check_cosign(cosigned(*noise, good), pem(key))
    for bad in noise:
        with pytest.raises(Refused, match="is by this key") as caught:
            provenance.check_cosign(cosigned(bad), pem(key))
        assert caught.value.reason == "SignatureInvalid"


OTHER = "sha256:" + "2" * 64


@pytest.mark.parametrize(
    ("evidence", "reason", "says"),
    [
        pytest.param(cosigned(), "SignatureMissing", f"the registry has no signature of {MANIFEST}; sign", id="none"),
        pytest.param(
            cosigned((payload(OTHER), signed(P256, payload(OTHER)))),
            "SignatureInvalid",
            f"the key signed {OTHER}, but the chart's manifest is {MANIFEST}; sign it with `cosign sign",
            id="of something else",
        ),
        pytest.param(
            cosigned((b"[" * 99999, signed(P256, b"[" * 99999))), "SignatureInvalid", "something else", id="no payload"
        ),
        pytest.param(
            cosigned((payload(MANIFEST), signed(ec.generate_private_key(ec.SECP256R1()), payload(MANIFEST)))),
            "SignatureInvalid",
            f"none of the 1 signatures of {MANIFEST} is by this key",
            id="by somebody else",
        ),
    ],
)
def test_what_cosign_did_not_sign_is_refused(evidence: Evidence, reason: str, says: str) -> None:
    with pytest.raises(Refused) as caught:
        provenance.check_cosign(evidence, pem(P256))
    assert caught.value.reason == reason
    assert caught.value.message.startswith("spec.chart.verify.cosign: ")
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b"hello", "it is not PEM", id="text"),
        pytest.param(pem(WEAK), "RSA with 1024 bits is too weak", id="weak"),
        pytest.param(
            dsa.generate_private_key(2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "is not known",
            id="DSA",
        ),
    ],
)
def test_what_is_no_key_of_cosign_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        provenance.check_cosign(cosigned(), text)
    assert caught.value.reason == "InvalidKey"
    assert caught.value.message.startswith("spec.chart.verify.cosign.secretRef: key cosign.pub holds no public key")


async def test_what_cosign_put_into_a_registry_is_found(registry: str, session: aiohttp.ClientSession) -> None:
    source = {"url": f"oci://{registry}/charts/hello:1.2.3"}
    unsigned = await fetched(source, session, "cosign")
    assert unsigned.evidence.signatures == ()
    with pytest.raises(Refused, match="has no signature"):
        await provenance.check(unsigned.archive, NAME, unsigned.evidence, Keys(cosign=pem(P256)))

    await cosign(session, registry, unsigned.evidence.manifest, P256)
    found = await fetched(source, session, "cosign")
    await provenance.check(found.archive, NAME, found.evidence, Keys(cosign=pem(P256)))
    stranger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(Refused, match="none of the 1 signatures"):
        await provenance.check(found.archive, NAME, found.evidence, Keys(cosign=pem(stranger)))
