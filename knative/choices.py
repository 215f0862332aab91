"""Every choice of components there is, and what kustomize makes of it. The chart is made from these; tests try them."""

import functools
import itertools
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

KNATIVE = Path(__file__).parent
SERVED = ("deployments", "serving")
BROKERS = ("mt-channel", "nats-jetstream", "kafka")
LEDGERS = ("sqlite", "postgresql")
NATS = ("bundled", "external")

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    served: str = "deployments"
    broker: str = "mt-channel"
    ledger: str = "sqlite"
    nats: str = "bundled"

    def __str__(self) -> str:
        return f"{self.served}, {self.broker}, {self.ledger}, {self.nats}"

    @property
    def components(self) -> list[str]:
        broker = [] if self.broker == "mt-channel" else [f"broker-{self.broker}"]
        return [self.served, *broker, f"ledger-{self.ledger}", f"nats-{self.nats}"]


CHOICES = [Choice(*each) for each in itertools.product(SERVED, BROKERS, LEDGERS, NATS)]
OVERLAYS = sorted(path.name for path in (KNATIVE / "overlays").iterdir() if (path / "kustomization.yaml").exists())


def built(kubectl: str, folder: Path) -> str:
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        raise RuntimeError(f"kubectl kustomize {folder}: {done.stderr}")
    return done.stdout


@functools.cache
def chosen(kubectl: str, choice: Choice) -> str:
    with TemporaryDirectory() as folder:
        up = os.path.relpath(KNATIVE, Path(folder).resolve())
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [f"{up}/base"],
            "components": [f"{up}/components/{each}" for each in choice.components],
        }
        (Path(folder) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return built(kubectl, Path(folder))


@functools.cache
def objects(text: str) -> tuple[Manifest, ...]:
    return tuple(each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each)


def templates(found: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """The pods of workloads, by the workload's name."""
    for each in found:
        if "template" in (each.get("spec") or {}):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def containers(found: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    for name, pod in templates(found):
        for one in [*pod["containers"], *pod.get("initContainers", [])]:
            yield name, one
