"""Volumes of a real node: for each claim a file system in a file, of exactly the size asked for.

A directory would share the disk of the machine, and the kubelet would tell of that. Run by the node's supervisor:
python -m knative.local.node.volumes KUBECONFIG FOLDER.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

from knative.local.node.configuration import PROVISIONER
from knative.local.node.place import NAME, STORAGE_CLASS
from knative.local.processes import REAL_NODE
from shared.cluster import Cluster
from shared.errors import ApiError, RetryLater
from shared.quantities import quantity
from shared.resources import Resource

Object = dict[str, Any]

CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
SELECTED = "volume.kubernetes.io/selected-node"
PROVISIONED = "pv.kubernetes.io/provisioned-by"
STEP = 0.5


def name_of(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def wanting(claims: list[Object], volumes: list[Object]) -> list[Object]:
    """Claims that the scheduler has brought to this node and that have no volume yet."""
    names = {each["metadata"]["name"] for each in volumes}
    return [claim for claim in claims if _waits(claim) and name_of(claim) not in names]


def sizes(claims: list[Object], volumes: list[Object]) -> dict[str, int]:
    """What there must be. That of a node taken down in between is made again, empty."""
    asked = {name_of(claim): claim["spec"]["resources"]["requests"] for claim in claims}
    kept = {each["metadata"]["name"]: each["spec"]["capacity"] for each in _ours(volumes)}
    gone = released(volumes)
    return {name: int(quantity(of["storage"]) or 0) for name, of in (asked | kept).items() if name not in gone}


def _waits(claim: Object) -> bool:
    here = claim["metadata"].get("annotations", {}).get(SELECTED) == NAME
    pending = claim.get("status", {}).get("phase") == "Pending"
    return here and pending and claim["spec"].get("storageClassName") == STORAGE_CLASS


def released(volumes: list[Object]) -> list[str]:
    return [
        each["metadata"]["name"] for each in _ours(volumes) if each["status"].get("phase") in ("Released", "Failed")
    ]


def _ours(volumes: list[Object]) -> list[Object]:
    return [each for each in volumes if each["metadata"].get("annotations", {}).get(PROVISIONED) == PROVISIONER]


def volume(claim: Object, folder: Path) -> Object:
    metadata, spec, name = claim["metadata"], claim["spec"], name_of(claim)
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    return {
        "metadata": {"name": name, "labels": {REAL_NODE: ""}, "annotations": {PROVISIONED: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": STORAGE_CLASS,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                **{each: metadata[each] for each in ("namespace", "name", "uid")},
            },
            "local": {"path": str(folder / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }


def make(folder: Path, name: str, size: int) -> None:
    """Also after an attempt that was cut short."""
    image, point = folder / f"{name}.ext4", folder / name
    if point.is_mount():
        return
    point.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size)
    _run("mkfs.ext4", "-q", "-m", "0", "-F", str(image))
    _run("mount", "-o", "loop", str(image), str(point))
    (point / "lost+found").rmdir()
    point.chmod(0o777)


def kept(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def remove(folder: Path, name: str) -> None:
    if (folder / name).is_mount():
        _run("umount", str(folder / name))
    if (folder / name).exists():
        (folder / name).rmdir()
    (folder / f"{name}.ext4").unlink(missing_ok=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


async def step(cluster: Cluster, folder: Path) -> None:
    claims, volumes = (await cluster.list(CLAIMS))["items"], (await cluster.list(VOLUMES))["items"]
    new = wanting(claims, volumes)
    wanted = sizes(new, volumes)
    for name in kept(folder) - wanted.keys():
        remove(folder, name)
    for name, size in wanted.items():
        make(folder, name, size)
    for claim in new:
        await cluster.create(VOLUMES, volume(claim, folder))
    for name in released(volumes):
        await cluster.delete(VOLUMES, name)


async def serve(kubeconfig: str, folder: Path) -> None:
    cluster = await Cluster.open(kubeconfig)
    while True:
        try:
            await step(cluster, folder)
        except (ApiError, RetryLater, OSError, subprocess.CalledProcessError) as error:
            print(f"trying again: {error}", file=sys.stderr, flush=True)
        await asyncio.sleep(STEP)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
