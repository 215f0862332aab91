"""Where a stack keeps its files, and which ports it takes: two stacks differ in exactly these two things."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PORT = 16440

OFFSETS = {
    "apiserver": 0,
    "etcd": 1,
    "etcd-peer": 2,
    "nats": 3,
    "router": 4,
    "dispatcher": 5,
    "dispatcher-https": 6,
    "ingress": 7,
    "ingress-https": 8,
    "filter": 9,
    "filter-https": 10,
    "functions": 20,
    "offerings-source": 21,
    "instances-source": 22,
    "conversion": 23,
    "nats-source": 24,
}
EACH = 30  # functions that run one process each take the ports from here
SOURCES = ("offerings-source", "instances-source", "nats-source")


def function_names() -> list[str]:
    """One file, one function."""
    return sorted(path.stem for path in (REPOSITORY / "functions").glob("*.py") if not path.stem.startswith("_"))


@dataclass(frozen=True)
class Layout:
    home: Path
    base: int = PORT

    def port(self, name: str) -> int:
        if name in OFFSETS:
            return self.base + OFFSETS[name]
        return self.base + EACH + function_names().index(name.replace("-", "_"))

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.port(name)}"

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def nats(self) -> Path:
        """Says where NATS listens; `chandlery push` reads it."""
        return self.home / "nats"

    @property
    def ledger(self) -> Path:
        """The ledger's database; `chandlery usage` reads it."""
        return self.home / "ledger.db"

    @property
    def bin(self) -> Path:
        return self.home / "bin"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        return self.home / "run"

    @property
    def socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def certificates(self) -> Path:
        return self.run / "certificates"

    def kubeconfig_of(self, account: str) -> Path:
        return self.run / "kubeconfigs" / account

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"
