"""Which programs the stack is made of, and where their builds are: a directory a Go module, named by its inputs."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

GO = Path(__file__).parent / "go"
FLAGS = ("-trimpath", "-buildvcs=false")
ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly -modcacherw"}

KUBERNETES = "v1.35.4"  # Knative refuses a server that does not say its version
KUBERNETES_VERSION = " ".join(
    f"-X {package}.{name}={value}"
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for name, value in {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": "35", "gitTreeState": "clean"}.items()
)


@dataclass(frozen=True)
class Module:
    """One directory under go/: what to build from it, and which files of its dependencies are needed at run time."""

    name: str
    programs: dict[str, str] = field(default_factory=dict)
    """Program name -> Go package."""
    ldflags: str = ""
    patched: str = ""
    """A dependency built from a copy with go/<name>/upstream.patch applied."""
    share: tuple[str, tuple[str, ...]] = ("", ())
    """A dependency and the patterns of its files to keep."""

    @property
    def source(self) -> Path:
        return GO / self.name

    def key(self, go_version: str) -> str:
        inputs = hashlib.sha256(f"{self!r} {FLAGS} {sorted(ENVIRONMENT.items())} {go_version}".encode())
        for path in sorted(path for path in self.source.rglob("*") if path.is_file()):
            inputs.update(path.relative_to(self.source).as_posix().encode() + b"\0" + path.read_bytes())
        return inputs.hexdigest()[:16]

    def built(self, go_version: str) -> Path:
        """Where the finished build is, or will be."""
        return cache() / "tools" / f"{self.name}-{self.key(go_version)}"


_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")

MODULES = (
    Module("router", {"router": "."}),
    Module("etcd", {"etcd": "."}),
    Module("nats", {"nats-server": "github.com/nats-io/nats-server/v2"}),
    Module("registry", {"registry": "."}),
    Module("kube", {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES}, ldflags=KUBERNETES_VERSION),
    Module(
        "kwok",
        {"kwok": "sigs.k8s.io/kwok/cmd/kwok"},
        share=("sigs.k8s.io/kwok", ("kustomize/stage/**/*.yaml",)),
    ),
    Module(
        "eventing",
        {
            "eventing": ".",
            "mtping": "./ping",
            "knlint": "./knlint",
            "broker-ingress": "knative.dev/eventing/cmd/broker/ingress",
            "broker-filter": "knative.dev/eventing/cmd/broker/filter",
        },
        patched="knative.dev/eventing",
        share=("knative.dev/eventing", ("config/**/*.yaml",)),
    ),
    # No Serving runs here; its own types say whether it would take our Knative Services.
    Module("serving", {"servlint": "."}, share=("knative.dev/serving", ("config/core/300-resources/*.yaml",))),
    # Charts read the version as .Capabilities.HelmVersion.
    Module(
        "helm",
        {"helm": "helm.sh/helm/v4/cmd/helm", "chandlery-helm": "./engine"},
        ldflags="-X helm.sh/helm/v4/internal/version.version=v4.2.4",
    ),
)

# What `make node` needs besides; nothing else builds it.
NODE_MODULES = (
    Module(
        "kube-node",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in ("kubelet", "kube-proxy")},
        ldflags=KUBERNETES_VERSION,
    ),
    Module("coredns", {"coredns": "."}),
    Module("load", {"load": "."}),
)


def cache() -> Path:
    """Outside the work tree, so that a fresh clone finds what an earlier one built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "chandlery"


@dataclass(frozen=True)
class Tools:
    """Finished builds."""

    programs: dict[str, Path]
    shares: dict[str, Path]

    def __getitem__(self, program: str) -> str:
        return str(self.programs[program])

    @classmethod
    def of(cls, directories: dict[str, Path]) -> "Tools":
        programs = {path.name: path for directory in directories.values() for path in _programs(directory)}
        return cls(programs, {name: directory / "share" for name, directory in directories.items()})


def _programs(directory: Path) -> Iterator[Path]:
    return (directory / "bin").iterdir()
