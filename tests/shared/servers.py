"""Servers for tests: programs on a free port, and CAs that nobody else trusts."""

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import free_port

PATIENCE = 20.0


@contextmanager
def running(command: list[str], port: int, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Until the block ends; killed, for none of these has anything to say goodbye to."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + PATIENCE
    while time.monotonic() < limit and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


@dataclass
class Nats:
    program: str
    folder: Path
    port: int = field(default_factory=free_port)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [self.program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder)]
        self._running.enter_context(running(command, self.port))

    def stop(self) -> None:
        self._running.close()


@dataclass(frozen=True)
class Certificate:
    """Of 127.0.0.1, by a CA of its own."""

    ca: str
    chain: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> "Certificate":
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        ca = _signed(issuer, issuer, ca_key, ca_key, ca=True)
        certificate = _signed(subject, issuer, key, ca_key, ca=False)
        found = cls(ca.public_bytes(serialization.Encoding.PEM).decode(), folder / "tls.crt", folder / "tls.key")
        found.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        found.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return found

    def serving(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        return context


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    return (builder if ca else builder.add_extension(address, critical=False)).sign(signer, hashes.SHA256())


def helm_push(helm: str, archive: Path, registry: str, *options: str) -> str:
    """Into charts/ of a registry; returns the digest of the manifest."""
    home = {"HELM_REGISTRY_CONFIG": str(archive.parent / "registry.json"), "PATH": os.environ["PATH"]}
    command = [helm, "push", str(archive), f"oci://{registry}/charts", *options]
    done = subprocess.run(command, capture_output=True, text=True, env=home, check=True)
    return next(line.split()[1] for line in (done.stdout + done.stderr).splitlines() if line.startswith("Digest:"))
