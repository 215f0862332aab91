"""What is to be installed: the manifests of an overlay, in the order in which they depend on each other."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.errors import Refused

Object = dict[str, Any]

OVERLAYS = Path(__file__).parents[1] / "knative/overlays"
DEFAULT = "deployments"
SIZE_LIMIT = 16 * 1024 * 1024

ORDER = (
    *("Namespace", "CustomResourceDefinition", "StorageClass", "PriorityClass"),
    *("ServiceAccount", "ResourceQuota", "LimitRange", "NetworkPolicy", "ClusterRole", "Role"),
    *("ClusterRoleBinding", "RoleBinding", "ConfigMap", "Secret", "PersistentVolumeClaim"),
    *("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"),
    *("ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding", "PodDisruptionBudget"),
    *("Broker", "Service", "StatefulSet", "Deployment", "Job", "Trigger"),
)
"""Sources come last, as all that is not named here: nothing is to be said before somebody listens."""


@dataclass(frozen=True, order=True)
class Id:
    """Which object; the version does not matter."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = f" -n {self.namespace}" if self.namespace else ""
        return f"{self.kind}{self.group and '.' + self.group}/{self.name}{where}"


def id_of(body: Object) -> Id:
    metadata = body["metadata"]
    group = body["apiVersion"].rpartition("/")[0]
    return Id(group, body["kind"], metadata.get("namespace") or "", metadata["name"])


def rank(kind: str) -> int:
    return ORDER.index(kind) if kind in ORDER else len(ORDER)


def ordered(bodies: Iterable[Object]) -> list[Object]:
    return sorted(bodies, key=lambda body: rank(body["kind"]))


def stages(bodies: Iterable[Object]) -> list[list[Object]]:
    """Of one rank each: what is of the same rank does not depend on each other."""
    found: dict[int, list[Object]] = {}
    for body in bodies:
        found.setdefault(rank(body["kind"]), []).append(body)
    return [found[key] for key in sorted(found)]


# Reading


def load(said: str) -> list[Object]:
    """An overlay's name, a folder with a kustomization, a file of manifests, or - for stdin."""
    if said == "-":
        return parsed(sys.stdin.read(SIZE_LIMIT + 1), "standard input")
    path = Path(said)
    if path.is_file():
        return parsed(text_of(path), said)
    if (OVERLAYS / said).is_dir() and "/" not in said:
        path = OVERLAYS / said
    if not path.is_dir():
        there = ", ".join(sorted(each.name for each in OVERLAYS.glob("*") if each.is_dir())) or "none"
        raise Refused("NotFound", f"{said}: is no overlay, folder or file; there are the overlays: {there}")
    return parsed(built(path), said)


def text_of(path: Path) -> str:
    try:
        with path.open() as opened:
            return opened.read(SIZE_LIMIT + 1)
    except UnicodeDecodeError as error:
        raise Refused("InvalidManifest", f"{path}: is no text") from error


def built(folder: Path) -> str:
    """By kubectl, which has kustomize in it."""
    try:
        done = subprocess.run(
            ["kubectl", "kustomize", str(folder)],  # noqa: S607 the user's own
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        fix = "put it there, or give a file of manifests that were built"
        raise Refused("KubectlMissing", f"{folder}: is built by kubectl, which is not on PATH; {fix}") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().removeprefix("error: ")
        raise Refused("InvalidManifest", f"{folder}: can't be built: {said}") from error
    return done.stdout


def parsed(text: str, where: str) -> list[Object]:
    if len(text) > SIZE_LIMIT:
        raise Refused("InvalidManifest", f"{where}: has more than {SIZE_LIMIT // 1024 // 1024} MiB")
    try:
        found = [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]
    except yaml.YAMLError as error:
        raise Refused("InvalidManifest", f"{where}: is no YAML: {error}") from error
    for each in found:
        check(each, where)
    if not found:
        raise Refused("InvalidManifest", f"{where}: there is nothing in it")
    return ordered(found)


def check(each: Any, where: str) -> None:
    is_object = isinstance(each, dict) and all(isinstance(each.get(key), str) for key in ("apiVersion", "kind"))
    metadata = each.get("metadata") if is_object else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise Refused("InvalidManifest", f"{where}: holds something that is no object with a kind and a name")


def image(bodies: Iterable[Object], name: str) -> list[Object]:
    """With the image of our own containers replaced, wherever the overlay has it."""
    return [replaced(body, name) for body in bodies]


def replaced(body: Object, name: str) -> Object:
    if body["kind"] not in ("Deployment", "StatefulSet", "Service", "Job") or not is_ours(body):
        return body
    return _with_image(body, name)


def is_ours(body: Object) -> bool:
    return (body["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") == "chandlery"


def _with_image(found: Any, name: str) -> Any:
    if isinstance(found, list):
        return [_with_image(each, name) for each in found]
    if not isinstance(found, dict):
        return found
    told = {key: _with_image(value, name) for key, value in found.items()}
    return told | {"image": name} if str(told.get("image", "")).partition(":")[0] == "chandlery" else told
