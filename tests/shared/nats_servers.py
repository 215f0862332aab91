"""NATS servers with users of every kind; and the credentials that those have."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nkeys

from tests.ports import free_port
from tests.shared.servers import running


@dataclass(frozen=True)
class Key:
    """An nkey, and what is signed with it."""

    seed: str
    public: str

    @classmethod
    def make(cls, prefix: int = nkeys.PREFIX_BYTE_USER) -> "Key":
        seed = nkeys.encode_seed(os.urandom(32), prefix)
        return cls(seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode())

    def token(self, subject: str, kind: str, **claims: Any) -> str:
        """A JWT as NATS' operators, accounts and users have them."""
        body = {"jti": subject, "iat": 1700000000, "iss": self.public, "sub": subject, "name": kind}
        nats = {"type": kind, "version": 2} | claims
        parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, body | {"nats": nats}]
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        return f"{signed}.{_encoded(nkeys.from_seed(bytearray(self.seed.encode())).sign(signed.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass(frozen=True)
class Operator:
    """A NATS that is run by an operator: who may come in, signed tokens say."""

    operator: Key = field(default_factory=lambda: Key.make(nkeys.PREFIX_BYTE_OPERATOR))
    system: Key = field(default_factory=lambda: Key.make(nkeys.PREFIX_BYTE_ACCOUNT))
    account: Key = field(default_factory=lambda: Key.make(nkeys.PREFIX_BYTE_ACCOUNT))

    @property
    def config(self) -> str:
        names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage")
        limits = dict.fromkeys((*names, "streams", "consumer"), -1) | {"wildcards": True}
        system = {name: value for name, value in limits.items() if "storage" not in name and "str" not in name}
        system.pop("consumer")
        ours = self.operator.token(self.account.public, "account", limits=limits)
        theirs = self.operator.token(self.system.public, "account", limits=system)
        claims = {"system_account": self.system.public}
        return f"""
operator: {self.operator.token(self.operator.public, "operator", **claims)}
system_account: {self.system.public}
resolver: MEMORY
resolver_preload: {{ {self.account.public}: {ours}, {self.system.public}: {theirs} }}
"""

    def credentials(self, path: Path) -> Path:
        user = Key.make()
        token = self.account.token(user.public, "user", subs=-1, data=-1, payload=-1)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        return path


@contextmanager
def server(program: str, folder: Path, config: str) -> Iterator[str]:
    """Says at which address."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    file = folder / "nats.conf"
    file.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/store" }}\n{config}\n')
    with running([program, "-c", str(file)], port):
        yield f"127.0.0.1:{port}"
