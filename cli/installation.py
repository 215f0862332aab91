"""What is installed: a ConfigMap that names every object `chandlery install` made, so that they can be taken away."""

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from cli.bundle import Id, Object
from shared import ownership
from shared.cluster import Cluster
from shared.errors import NotFound
from shared.resources import CONFIG_MAPS, SYSTEM_NAMESPACE

NAME = "chandlery-installed"
VERSION = "0.1.0"
BY = "install"
KEPT = frozenset({"Namespace", "CustomResourceDefinition", "PersistentVolumeClaim", "Secret", "StorageClass"})
"""People's data is in them, or goes with them: an upgrade and a plain uninstall leave them alone."""


@dataclass(frozen=True)
class Installation:
    overlay: str
    version: str
    objects: frozenset[Id]
    complete: bool

    @property
    def shown(self) -> str:
        return f"{self.version}, {self.overlay}"


async def read(cluster: Cluster) -> Installation | None:
    try:
        found = await cluster.get(CONFIG_MAPS, NAME, SYSTEM_NAMESPACE)
    except NotFound:
        return None
    if found is None:
        return None
    data = found.get("data") or {}
    objects = frozenset(Id(*each) for each in json.loads(data.get("objects", "[]")))
    return Installation(data.get("overlay", "?"), data.get("version", "?"), objects, data.get("complete") == "true")


async def write(cluster: Cluster, overlay: str, objects: Iterable[Id], *, complete: bool) -> None:
    await cluster.apply(CONFIG_MAPS, body(overlay, objects, complete=complete), BY)


def body(overlay: str, objects: Iterable[Id], *, complete: bool) -> Object:
    labels = {"app.kubernetes.io/part-of": ownership.MANAGER}
    return {
        "metadata": {"name": NAME, "namespace": SYSTEM_NAMESPACE, "labels": labels},
        "data": {
            "overlay": overlay,
            "version": VERSION,
            "complete": str(complete).lower(),
            "objects": json.dumps([astuple(each) for each in sorted(objects)]),
        },
    }


def obsolete(before: Installation | None, now: Iterable[Id]) -> list[Id]:
    """What an earlier version had and this one has not."""
    return sorted(each for each in (before.objects if before else frozenset()) - {*now} if each.kind not in KEPT)
