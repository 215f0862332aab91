"""What of a pod the Pod Security Standards look at: all the rest is left out before the API server is asked. Pure.

So like instances ask alike, and are answered once. Nothing here judges: which field breaks which rule, and in which
release of Kubernetes, is the API server's to say.
"""

import re
from typing import Any

from shared.demand import pod_path, within
from shared.manifests import Manifest, items, mapping
from shared.problems import Problem

HOSTS = ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "os", "securityContext")
PARTS = ("initContainers", "containers")
OF_CONTAINER = ("name", "securityContext", "ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
HARMLESS = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"}
HARMLESS |= {"secret"}
"""Volumes that every level takes; all others may be refused by some level."""
PROFILES = ("container.apparmor.security.beta.kubernetes.io/", "seccomp.security.alpha.kubernetes.io/")
VIOLATES = re.compile(r'violates PodSecurity "[^"]*": (.*)', re.S)


def essence(each: Manifest) -> dict[str, Any] | None:
    """A pod as the API server would take it, were it not for what Pod Security says; None where none is made."""
    path = pod_path(each)
    if path is None:
        return None
    pod = mapping(within(each.body, path))
    spec = mapping(pod.get("spec"))
    stated = mapping(mapping(pod.get("metadata")).get("annotations"))
    profiles = {name: value for name, value in stated.items() if name.startswith(PROFILES)}
    found: dict[str, Any] = {name: spec[name] for name in HOSTS if name in spec}
    found |= {part: [_container(one, part) for one in items(spec[part])] for part in PARTS if spec.get(part)}
    if volumes := [one for one in items(spec.get("volumes")) if not HARMLESS.intersection(one)]:
        found["volumes"] = volumes
    metadata = {"name": "preflight"} | ({"annotations": profiles} if profiles else {})
    return {"metadata": metadata, "spec": found | {"automountServiceAccountToken": False}}


def _container(one: dict[str, Any], part: str) -> dict[str, Any]:
    kept = {name: one[name] for name in OF_CONTAINER if name in one} | {"image": "preflight"}
    restarts = {"restartPolicy": one["restartPolicy"]} if part == "initContainers" and "restartPolicy" in one else {}
    return kept | restarts


def violations(message: str) -> str | None:
    """The part of the API server's answer that names container and field."""
    found = VIOLATES.search(message)
    return found[1].strip() if found else None


def violated(each: Manifest, level: str, said: str) -> Problem:
    what = f"{each.source}: {each.shown}: its pods break pod security {level}: {said}"
    fix = "set the chart's security by spec.values, or lower spec.policies.podSecurity"
    return Problem("PodSecurityViolated", f"{what}; {fix}")
