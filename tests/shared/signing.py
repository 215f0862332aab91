"""People who sign charts: with PGP keys made once for these tests, and with keys for cosign made on the spot."""

import base64
import hashlib
import json
import os
import subprocess
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from shared import oci, provenance

KEYS = Path(__file__).parent / "keys"

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def keyring(who: str) -> bytes:
    """As `gpg --armor --export` prints it."""
    return (KEYS / f"{who}.asc").read_bytes()


def packed(helm: str, chart: Path, folder: Path, who: str = "") -> tuple[Path, Path]:
    """The archive that `helm package` makes, signed by `who`, and where its .prov is."""
    folder.mkdir(parents=True, exist_ok=True)
    signing: list[str] = []
    if who:
        ring = folder / f"{who}.gpg"
        secret = (KEYS / f"{who}.secret.asc").read_bytes().replace(b"PRIVATE", b"PUBLIC")
        ring.write_bytes(provenance.binary(secret))
        signing = ["--sign", "--key", who, "--keyring", str(ring)]
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    command = [helm, "package", str(chart), "--destination", str(folder), *signing]
    subprocess.run(command, env=environment, capture_output=True, check=True)
    archive = next(folder.glob("*.tgz"))
    return archive, archive.with_name(f"{archive.name}.prov")


def payload(digest: str) -> bytes:
    image = {"docker-manifest-digest": digest}
    critical = {"identity": {"docker-reference": ""}, "image": image, "type": "cosign container image signature"}
    return json.dumps({"critical": critical, "optional": None}).encode()


def signed(key: PrivateKey, content: bytes, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(content)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), algorithm or hashes.SHA256())
    return key.sign(content, ec.ECDSA(algorithm or hashes.SHA256()))


def pem(key: PrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


async def cosign(session: aiohttp.ClientSession, registry: str, manifest: str, key: PrivateKey) -> None:
    """What `cosign sign --key` uploads for charts/hello: the payload as a layer, its signature as an annotation."""
    base, said = f"http://{registry}/v2/charts/hello", payload(manifest)
    for content in (b"{}", said):
        async with session.post(f"{base}/blobs/uploads/") as started:
            where = started.headers["Location"]
        url = where if where.startswith("http") else f"http://{registry}{where}"
        async with session.put(url, params={"digest": digest(content)}, data=content) as done:
            assert done.status == 201
    layer = {
        "mediaType": oci.COSIGN_LAYER,
        "size": len(said),
        "digest": digest(said),
        "annotations": {oci.COSIGN_ANNOTATION: base64.b64encode(signed(key, said)).decode()},
    }
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": digest(b"{}")}
    body = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": config, "layers": [layer]}
    tag = manifest.replace(":", "-") + ".sig"
    headers = {"Content-Type": oci.MANIFEST}
    async with session.put(f"{base}/manifests/{tag}", data=json.dumps(body), headers=headers) as done:
        assert done.status == 201


def digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
