"""The functions' rights on generated kinds: one rule for each, in one ClusterRole that only these steps may change."""

from typing import Any

from shared.cluster import Cluster
from shared.errors import Invalid, RetryLater
from shared.resources import CLUSTER_ROLES

ROLE = "chandlery-instances"
VERBS = ["get", "list", "watch", "patch"]
TRIES = 5

Rule = dict[str, Any]


def rule_for(group: str, plural: str) -> Rule:
    return {"apiGroups": [group], "resources": [plural, f"{plural}/status"], "verbs": VERBS}


async def grant(cluster: Cluster, group: str, plural: str) -> None:
    wanted = rule_for(group, plural)
    await _change(cluster, lambda rules: rules if wanted in rules else [*rules, wanted])


async def revoke(cluster: Cluster, group: str, plural: str) -> None:
    unwanted = rule_for(group, plural)
    await _change(cluster, lambda rules: [rule for rule in rules if rule != unwanted])


async def _change(cluster: Cluster, change: Any) -> None:
    """Two steps may change the rules at once: the test on the version makes the later one look again."""
    for _ in range(TRIES):
        role = await cluster.get(CLUSTER_ROLES, ROLE)
        if role is None:
            raise RetryLater(f"ClusterRole {ROLE} is missing: apply knative/base/rbac.yaml", after=30)
        rules = role.get("rules") or []
        changed = change(rules)
        if changed == rules:
            return
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": role["metadata"]["resourceVersion"]},
            {"op": "add", "path": "/rules", "value": changed},
        ]
        try:
            await cluster.patch(CLUSTER_ROLES, ROLE, operations)
        except Invalid:
            continue
        return
    raise RetryLater(f"ClusterRole {ROLE} is changed by too many at once")
