"""Certificates, tokens and kubeconfigs of one stack: random, verified, readable by their owner only."""

import datetime
import ipaddress
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import cast

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from knative.local.layout import SOURCES, Layout, function_names

NAMESPACE = "chandlery"
NAMES = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
ADDRESSES = ["127.0.0.1", "10.96.0.1"]
KUBELET_CLIENT = "kube-apiserver-kubelet-client"
LIFETIME = datetime.timedelta(days=365)


def create(layout: Layout) -> None:
    """Once a stack: a second `up` finds its credentials valid."""
    if layout.kubeconfig.exists():
        return
    _certificates(layout.certificates)
    accounts = {account: secrets.token_urlsafe(32) for account in _accounts()}
    admin = secrets.token_urlsafe(32)
    lines = [f'{admin},admin,admin,"system:masters"']
    lines += [_service_account_line(account, token) for account, token in accounts.items()]
    write_private(layout.run / "tokens.csv", "\n".join(lines) + "\n")
    for account, token in accounts.items():
        write_private(layout.kubeconfig_of(account), _kubeconfig(layout, account, token))
    write_private(layout.kubeconfig, _kubeconfig(layout, "admin", admin))


def write_private(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _accounts() -> list[str]:
    return ["functions", *(name.replace("_", "-") for name in function_names()), *SOURCES]


def _service_account_line(account: str, token: str) -> str:
    """A static token that is a service account to RBAC: our processes have the rights they have in a cluster."""
    user = f"system:serviceaccount:{NAMESPACE}:{account}"
    groups = f"system:serviceaccounts,system:serviceaccounts:{NAMESPACE},system:authenticated"
    return f'{token},{user},{account},"{groups}"'


def _kubeconfig(layout: Layout, user: str, token: str) -> str:
    cluster = {
        "server": f"https://{layout.address('apiserver')}",
        "certificate-authority": str(layout.certificates / "ca.crt"),
    }
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": NAMESPACE, "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": NAMESPACE, "context": {"cluster": NAMESPACE, "user": user, "namespace": "default"}}],
            "current-context": NAMESPACE,
        },
        sort_keys=False,
    )


def issue(
    directory: Path,
    name: str,
    common: str,
    organization: str = "",
    *,
    names: Iterable[str] = (),
    addresses: Iterable[str] = (),
) -> None:
    """A key and a certificate of the authority in the directory; to Kubernetes a user `common` in a group."""
    ca = x509.load_pem_x509_certificate((directory / "ca.crt").read_bytes())
    loaded = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
    authority = cast(ec.EllipticCurvePrivateKey, loaded)
    own = ec.generate_private_key(ec.SECP256R1())
    hosts = [*map(x509.DNSName, names), *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses)]
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder(_name(common, organization), ca.subject, own.public_key())
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
    certificate = builder.sign(authority, SHA256())
    write_private(directory / f"{name}.crt", certificate.public_bytes(Encoding.PEM))
    write_private(directory / f"{name}.key", _pem(own))


def _certificates(directory: Path) -> None:
    """An authority, certificates of the servers and of their clients, a key that signs service account tokens."""
    authority = ec.generate_private_key(ec.SECP256R1())
    tokens = ec.generate_private_key(ec.SECP256R1())
    root = _name("chandlery local")
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    signing = _usage(sign_certificates=True)
    ca = (
        _builder(root, root, authority.public_key())
        .add_extension(constraints, critical=True)
        .add_extension(signing, critical=True)
        .sign(authority, SHA256())
    )
    write_private(directory / "ca.crt", ca.public_bytes(Encoding.PEM))
    write_private(directory / "ca.key", _pem(authority))
    issue(directory, "server", "chandlery local server", names=NAMES, addresses=ADDRESSES)
    issue(directory, "kubelet-client", KUBELET_CLIENT)  # how the API server shows a kubelet who it is
    write_private(directory / "accounts.key", _pem(tokens))
    public = tokens.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    write_private(directory / "accounts.pub", public)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str, organization: str = "") -> x509.Name:
    group = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*group, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
