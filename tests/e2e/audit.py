"""An API server's audit log, and what it says of the order in which things came to be. Pure, but for the reading."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "Request", "verbs": ["create"], "resources": [{"resources": ["namespaces"]}]},
        {"level": "Metadata", "verbs": ["create", "patch", "update"]},
        {"level": "None"},
    ],
}
BOUNDS = ("resourcequotas", "limitranges", "networkpolicies")
# What Kubernetes makes in every namespace, and what says whose it is and who may do what: nothing of it runs.
NO_WORKLOAD = {*BOUNDS, "namespaces", "serviceaccounts", "rolebindings", "roles", "events"}
LEVELS = {f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "warn", "audit")}


@dataclass(frozen=True)
class Made:
    """A create that the API server carried out, or an apply that created; `labels` only of namespaces."""

    resource: str
    namespace: str
    name: str
    asked: datetime
    answered: datetime
    labels: frozenset[str] = frozenset()


def made(log: Path) -> Iterator[Made]:
    with log.open() as lines:
        for line in lines:
            if found := of_event(json.loads(line)):
                yield found


def of_event(event: dict[str, Any]) -> Made | None:
    where = event.get("objectRef") or {}
    if event.get("responseStatus", {}).get("code") != 201 or where.get("subresource"):
        return None
    body = event.get("requestObject") or {}
    name = where.get("name") or body.get("metadata", {}).get("name", "")
    return Made(
        where["resource"],
        name if where["resource"] == "namespaces" else where.get("namespace", ""),
        name,
        datetime.fromisoformat(event["requestReceivedTimestamp"]),
        datetime.fromisoformat(event["stageTimestamp"]),
        frozenset(body.get("metadata", {}).get("labels", {})),
    )


def too_early(found: Iterable[Made], namespace: str) -> list[str]:
    """What is wrong in one release namespace; a bound counts from the API server's answer on."""
    here = [each for each in found if each.namespace == namespace]
    home = [each for each in here if each.resource == "namespaces"]
    if len(home) != 1 or not home[0].labels >= LEVELS:
        return [f"{namespace} was not born with the labels of Pod Security"]
    wrong = []
    work = [each for each in here if each.resource not in NO_WORKLOAD and each.name != "kube-root-ca.crt"]
    if not work:
        wrong.append(f"{namespace} has no workload: this shows nothing")
    for bound in BOUNDS:
        times = [each.answered for each in here if each.resource == bound]
        if not times:
            wrong.append(f"{namespace} has no {bound}")
            continue
        wrong += [f"{each.resource} {each.name} came before {bound}" for each in work if each.asked < min(times)]
    return wrong
