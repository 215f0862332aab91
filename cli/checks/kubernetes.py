"""Whether this Kubernetes has what Chandlery builds on."""

import re

from cli import kinds
from cli.checks.finding import Finding, limited, missing, ok, unknown
from cli.kinds import Kind
from shared.cluster import Cluster, Object
from shared.discovery import default_class
from shared.errors import ApiError
from shared.resources import STORAGE_CLASSES

SUBJECT = "kubernetes"
OLDEST = (1, 30)
"""The first with ValidatingAdmissionPolicy as v1, which our bounds are made of."""
ADMISSION = "admissionregistration.k8s.io"
UPGRADE = f"upgrade the cluster to {OLDEST[0]}.{OLDEST[1]} or newer"


async def look(cluster: Cluster) -> list[Finding]:
    return version(await cluster.document("/version"))


async def look_admission(cluster: Cluster) -> list[Finding]:
    try:
        return admission(await kinds.served(cluster))
    except (ApiError, KeyError) as error:  # before 1.27, discovery can't be had in one piece
        return [unknown(SUBJECT, f"which kinds are served can't be read: {error}", UPGRADE)]


def version(said: Object) -> list[Finding]:
    """A newer server may be told to behave like an older one: then that one counts."""
    major = number(said.get("emulationMajor") or said.get("major"))
    minor = number(said.get("emulationMinor") or said.get("minor"))
    name = said.get("gitVersion", "?")
    if major is None or minor is None:
        return [unknown(SUBJECT, f"says that it is version {name}, which can't be understood")]
    behaves = (
        f"version {name}" if name.startswith(f"v{major}.{minor}.") else f"version {name}, behaving as {major}.{minor}"
    )
    if (major, minor) < OLDEST:
        least = ".".join(map(str, OLDEST))
        return [missing(SUBJECT, f"{behaves} is older than {least}, the first that bounds what we may do", UPGRADE)]
    return [ok(SUBJECT, behaves)]


def number(text: str | None) -> int | None:
    """Some providers write 30+."""
    found = re.match(r"\d+", text or "")
    return int(found[0]) if found else None


def admission(served: list[Kind]) -> list[Finding]:
    found = {(kind.resource.kind, kind.resource.version) for kind in served if kind.resource.group == ADMISSION}
    validating = ("ValidatingAdmissionPolicy", "v1") in found
    mutating = sorted(version for kind, version in found if kind == "MutatingAdmissionPolicy")
    return [
        ok("admission", "ValidatingAdmissionPolicy is served")
        if validating
        else missing(
            "admission", "ValidatingAdmissionPolicy v1 is not served, so nothing bounds what charts ask for", UPGRADE
        ),
        ok("admission", f"MutatingAdmissionPolicy is served ({', '.join(mutating)})")
        if mutating
        else limited(
            "admission",
            "MutatingAdmissionPolicy is not served: pods that operators make of custom resources are not placed as"
            " an Offering says (policies.pods); all other pods are",
            "if you need that: Kubernetes 1.36, or switch on the feature gate MutatingAdmissionPolicy",
        ),
    ]


async def look_storage(cluster: Cluster) -> list[Finding]:
    classes = (await cluster.list(STORAGE_CLASSES, metadata_only=True))["items"]
    return storage([each["metadata"]["name"] for each in classes], default_class(classes))


def storage(names: list[str], default: str | None) -> list[Finding]:
    if default:
        return [ok("storage", f"StorageClass {default} is the default")]
    there = f"there are {', '.join(sorted(names))}" if names else "there is none at all"
    fix = "mark one: kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true"
    return [
        limited(
            "storage", f"no StorageClass is the default ({there}): volumes of charts that name none stay unbound", fix
        )
    ]
