"""Certificates for the function that the API server calls by HTTPS: an authority of our own, kept in one Secret.

Runs before that function in its pod, `python -m knative.certificates`: what is in the Secret is used while it is good,
else made and written; of several pods that do so at once one wins and the others take its. The authority outlives many
certificates, so what CRDs were told of it stays true. Whoever fills the Secret otherwise (cert-manager can) is let be.
"""

import asyncio
import base64
import datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from knative.workloads import CERTIFICATES
from shared import logs
from shared.cluster import Cluster
from shared.errors import Conflict, Invalid, RetryLater
from shared.resources import SECRETS, SYSTEM_NAMESPACE
from shared.webhook import SERVICE

HOST = f"{SERVICE}.{SYSTEM_NAMESPACE}.svc"
FOLDER = Path("/etc/chandlery") / CERTIFICATES
AUTHORITY_LIFE = datetime.timedelta(days=20 * 365)
LIFE = datetime.timedelta(days=5 * 365)
RENEW = datetime.timedelta(days=365)
"""A pod that starts with less left than this gets a new one; no pod lives that long."""
TRIES = 30

log = structlog.get_logger()

Files = dict[str, bytes]


def made(known: Files, now: datetime.datetime) -> Files | None:
    """What the Secret should hold instead, or None when what it holds will do."""
    if good(known, now):
        return None
    if "ca.key" not in known or "ca.crt" not in known or expired(known["ca.crt"], now + LIFE):
        known = authority(now)
    return {**known, **certificate(known, now)}


def good(files: Files, now: datetime.datetime) -> bool:
    if not {"ca.crt", "tls.crt", "tls.key"} <= set(files):
        return False
    mine = "ca.key" in files
    try:
        return not expired(files["tls.crt"], now + (RENEW if mine else datetime.timedelta()))
    except ValueError:
        return False


def expired(certificate: bytes, when: datetime.datetime) -> bool:
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc < when


def authority(now: datetime.datetime) -> Files:
    key = ec.generate_private_key(ec.SECP256R1())
    name = named("chandlery conversion")
    found = (
        builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(signs=True), critical=True)
        .sign(key, SHA256())
    )
    return {"ca.crt": found.public_bytes(Encoding.PEM), "ca.key": pem(key)}


def certificate(known: Files, now: datetime.datetime) -> Files:
    issuer = x509.load_pem_x509_certificate(known["ca.crt"])
    signer = load_pem_private_key(known["ca.key"], None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101 - we made it
    key = ec.generate_private_key(ec.SECP256R1())
    found = (
        builder(named(HOST), issuer.subject, key.public_key(), now, LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(usage(signs=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, SHA256())
    )
    return {"tls.crt": found.public_bytes(Encoding.PEM), "tls.key": pem(key)}


def builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))  # clocks differ
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def usage(*, signs: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only")
    never = dict.fromkeys((*others, "decipher_only"), False)
    return x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **never)


def named(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


async def kept(cluster: Cluster, now: datetime.datetime) -> Files:
    """What the Secret holds, once it holds something good."""
    for _ in range(TRIES):
        try:
            secret = await cluster.get(SECRETS, CERTIFICATES, SYSTEM_NAMESPACE)
            if secret is None:
                raise RetryLater(f"there is no Secret {CERTIFICATES}: the manifests bring an empty one")
            files = {name: base64.b64decode(value) for name, value in (secret.get("data") or {}).items()}
            better = made(files, now)
            if better is None:
                return files
            encoded = {name: base64.b64encode(value).decode() for name, value in better.items()}
            operations = [
                {"op": "test", "path": "/metadata/resourceVersion", "value": secret["metadata"]["resourceVersion"]},
                {"op": "add", "path": "/data", "value": encoded},
            ]
            await cluster.patch(SECRETS, CERTIFICATES, operations, SYSTEM_NAMESPACE)
            log.info("made certificates", host=HOST)
        except (Conflict, Invalid):
            continue  # another pod was faster
        except RetryLater as later:
            log.info("not now", why=str(later))
            await asyncio.sleep(2)
    raise SystemExit(f"the Secret {CERTIFICATES} can't be read or written")


async def main() -> None:
    cluster = await Cluster.open()
    try:
        files = await kept(cluster, datetime.datetime.now(datetime.UTC))
    finally:
        await cluster.close()
    for name in ("tls.crt", "tls.key"):
        path = FOLDER / name
        path.touch(mode=0o600)
        path.write_bytes(files[name])


if __name__ == "__main__":
    logs.configure()
    asyncio.run(main())
