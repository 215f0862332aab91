"""Who signed a chart: Helm's .prov by Helm itself, cosign's signatures of OCI artifacts by their public key.

Only keys that the provider names are trusted: no transparency log, no certificates, no key servers.
"""

import asyncio
import base64
import binascii
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from shared.errors import Refused, RetryLater
from shared.helm import DIE_WITH_US, environment

KEYRING = "spec.chart.verify.keyring"
COSIGN = "spec.chart.verify.cosign"
PATIENCE = 30.0

SIGN_PGP = "sign it with `helm package --sign`"
COSIGN_3 = "cosign 3 needs --use-signing-config=false --new-bundle-format=false"
SIGN_COSIGN = f"sign it with `cosign sign --key cosign.key` ({COSIGN_3})"

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@dataclass(frozen=True)
class Signature:
    """A layer of cosign's: what was signed, and the signature of exactly these bytes."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class Evidence:
    """What was found beside a chart; only what was asked for."""

    prov: bytes | None = None
    manifest: str = ""
    """The digest of the OCI manifest that named the chart."""
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True)
class Keys:
    """Whom the provider trusts; None asks for nothing."""

    keyring: bytes | None = None
    cosign: bytes | None = None


async def check(archive: bytes, filename: str, evidence: Evidence, keys: Keys) -> None:
    """Raises Refused unless all that was asked for is there and valid; `filename` is what `helm package` calls it."""
    if keys.cosign is not None:
        check_cosign(evidence, keys.cosign)
    if keys.keyring is not None:
        await check_prov(archive, filename, evidence.prov, keys.keyring)


# Helm's .prov


async def check_prov(archive: bytes, filename: str, prov: bytes | None, keyring: bytes) -> None:
    if prov is None:
        raise Refused("SignatureMissing", f"{KEYRING}: the chart has no .prov beside it; {SIGN_PGP} and put it there")
    if not re.fullmatch(r"[\w.+-]{1,200}", filename, re.ASCII):
        raise Refused(
            "NotAChart", f"Chart.yaml: name or version is not one that `helm package` takes: {filename!r:.250}"
        )
    said = await _helm_verify(archive, filename, prov, binary(keyring))
    if said is not None:
        raise refusal(said)


def binary(keyring: bytes) -> bytes:
    """Helm reads only binary keyrings, but what people have at hand is often `gpg --armor --export`."""
    if b"-----BEGIN PGP" not in keyring:
        return keyring
    blocks = re.findall(
        rb"-----BEGIN PGP PUBLIC KEY BLOCK-----[^\n]*\n(.*?)-----END PGP PUBLIC KEY BLOCK-----",
        keyring.replace(b"\r", b""),
        re.DOTALL,
    )
    if not blocks:
        raise _no_keyring("there is no PUBLIC KEY BLOCK in it")
    try:
        return b"".join(_dearmored(block) for block in blocks)
    except binascii.Error as error:
        raise _no_keyring("its armor is damaged") from error


def _dearmored(block: bytes) -> bytes:
    """Headers such as `Comment: x` end with an empty line; a line of = and four characters is only a checksum."""
    body = block.rpartition(b"\n\n")[2].split()
    return base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")), validate=True)


def refusal(said: str) -> Refused:
    """What Helm's words mean."""
    if "load keyring" in said:
        return _no_keyring(said)
    if "unknown entity" in said:
        why, fix = "no key of the keyring made its .prov", f"add the signer's public key, or {SIGN_PGP}"
    elif "sum does not match" in said or "does not contain a SHA" in said:
        why, fix = f"its .prov signs another archive ({said})", "put the archive and its own .prov there"
    else:
        why, fix = f"its .prov is not valid ({said})", SIGN_PGP
    return Refused("SignatureInvalid", f"{KEYRING}: {why}; {fix}")


def _no_keyring(why: str) -> Refused:
    fix = "put the output of `gpg --export` there"
    return Refused("InvalidKey", f"{KEYRING}.secretRef: key keyring holds no PGP public keys ({why}); {fix}")


async def _helm_verify(archive: bytes, filename: str, prov: bytes, keyring: bytes) -> str | None:
    """None, or why not."""
    with tempfile.TemporaryDirectory(prefix="chandlery-verify-") as folder:
        home = Path(folder)  # for nobody else to look into
        chart, ring = home / filename, home / ".keyring"
        await asyncio.to_thread(_write, {chart: archive, home / f"{filename}.prov": prov, ring: keyring})
        process = await asyncio.create_subprocess_exec(
            *(*DIE_WITH_US, "helm", "verify", str(chart), "--keyring", str(ring)),
            env=environment(home),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except TimeoutError:
            raise RetryLater(f"helm verify did not end within {PATIENCE:g} s", after=60) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode == 0:
        return None
    return err.decode(errors="replace").strip().removeprefix("Error: ").replace(str(home), "")[-500:]


def _write(files: dict[Path, bytes]) -> None:
    for path, content in files.items():
        path.touch(mode=0o600)
        path.write_bytes(content)


# cosign


def check_cosign(evidence: Evidence, pem: bytes) -> None:
    key = public_key(pem)
    if not evidence.signatures:
        raise Refused(
            "SignatureMissing", f"{COSIGN}: the registry has no signature of {evidence.manifest}; {SIGN_COSIGN}"
        )
    ours = [each for each in evidence.signatures if signed_by(key, each)]
    if not ours:
        why = f"none of the {len(evidence.signatures)} signatures of {evidence.manifest} is by this key"
        raise Refused("SignatureInvalid", f"{COSIGN}: {why}; {SIGN_COSIGN}")
    if not any(digest_in(each.payload) == evidence.manifest for each in ours):
        others = ", ".join(sorted({digest_in(each.payload) for each in ours}))
        why = f"the key signed {others}, but the chart's manifest is {evidence.manifest}"
        raise Refused("SignatureInvalid", f"{COSIGN}: {why}; {SIGN_COSIGN}")


def public_key(pem: bytes) -> PublicKey:
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_public_key("it is not PEM") from error
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        raise _no_public_key(f"RSA with {key.key_size} bits is too weak")
    if not isinstance(key, PublicKey):
        raise _no_public_key(f"{type(key).__name__} is not known")
    return key


def _no_public_key(why: str) -> Refused:
    fix = "put the output of `cosign public-key` there: ECDSA, RSA or Ed25519"
    return Refused("InvalidKey", f"{COSIGN}.secretRef: key cosign.pub holds no public key ({why}); {fix}")


def signed_by(key: PublicKey, signed: Signature) -> bool:
    """cosign hashed with SHA-256 for every curve until 2.5, and by the curve's size since."""
    return any(_verified(key, signed, each) for each in (hashes.SHA256(), hashes.SHA384(), hashes.SHA512()))


def _verified(key: PublicKey, signed: Signature, algorithm: hashes.HashAlgorithm) -> bool:
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signed.signature, signed.payload)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signed.signature, signed.payload, padding.PKCS1v15(), algorithm)
        else:
            key.verify(signed.signature, signed.payload, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def digest_in(payload: bytes) -> str:
    """The manifest a simple signing payload is about; to be read only once its signature is known to be good."""
    try:
        return str(json.loads(payload)["critical"]["image"]["docker-manifest-digest"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return "something else"
