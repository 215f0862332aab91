"""Rights that are handed out while we run, each in a ClusterRole that only these steps may change.

An administrator's file (knative/base/rbac.yaml) names the roles below and leaves them empty; the steps that fill them
may change these by name, and no others. Nobody may hand out rights he doesn't hold, so they have `escalate` on them.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.cluster import Cluster, Object
from shared.errors import ApiError, Invalid, RetryLater
from shared.resources import CLUSTER_ROLES

INSTANCES = "chandlery-instances"
"""Of the functions, on generated kinds."""
RELEASES = "chandlery-release"
"""Of Helm in a release namespace; Kubernetes puts it together from roles with a label."""
BROUGHT = "chandlery-release-brought-kinds"
"""One of those: on the kinds that charts bring in crds/."""
CHARTS = "chandlery-charts"
"""Of register_chart and retire_offering: to see objects of those kinds, and to change the roles of an Offering."""
BINDINGS = "chandlery-offering-bindings"
"""Of apply_policies: to bind the roles of an Offering."""
OFFERING = "offering.chandlery.dev/"
AGGREGATE = "chandlery.dev/aggregate-to-offering"
VERBS = ["get", "list", "watch", "patch"]
MAKING = ["get", "list", "watch", "create", "update", "patch", "delete"]
"""Not `*`: that holds `escalate` and `bind`, with which a chart could give itself anything."""
CHANGING = ["get", "create", "patch", "delete", "escalate"]
REMOVING = ["get", "list", "watch", "delete"]
TRIES = 5
SETTLE_SECONDS = 10

Rule = dict[str, Any]
Kind = tuple[str, str]
"""Group and plural."""


def rule_for(group: str, plural: str) -> Rule:
    return {"apiGroups": [group], "resources": [plural, f"{plural}/status"], "verbs": VERBS}


async def grant(cluster: Cluster, group: str, plural: str) -> None:
    wanted = rule_for(group, plural)
    await _change(cluster, INSTANCES, lambda role: {"rules": _with(role, wanted)})


async def revoke(cluster: Cluster, group: str, plural: str) -> None:
    unwanted = rule_for(group, plural)
    await _change(cluster, INSTANCES, lambda role: {"rules": [rule for rule in _rules(role) if rule != unwanted]})


def role_of(offering: str) -> str:
    """What Helm may do in cluster scope for an Offering's instances; an administrator may add to it by the label."""
    return f"chandlery:offering:{offering}"


def kinds_role_of(offering: str) -> str:
    """Our part of it."""
    return f"chandlery:offering-kinds:{offering}"


def rules_on(kinds: Iterable[Kind], verbs: list[str]) -> list[Rule]:
    by_group: dict[str, list[str]] = {}
    for group, plural in sorted(set(kinds)):
        by_group.setdefault(group, []).append(plural)
    return [{"apiGroups": [group], "resources": plurals, "verbs": verbs} for group, plurals in by_group.items()]


def allowed(kinds: Iterable[Kind], before: Iterable[Rule]) -> list[Rule]:
    """What was allowed once may still be taken away: instances have objects of it that their removal must reach."""
    wanted = set(kinds)
    return rules_on(wanted, MAKING) + rules_on(kinds_in(before) - wanted, REMOVING)


def kinds_in(rules: Iterable[Rule]) -> set[Kind]:
    return {(group, plural) for rule in rules for group in rule["apiGroups"] for plural in rule["resources"]}


def on_roles(offering: str, verbs: list[str]) -> Rule:
    which = {"apiGroups": [CLUSTER_ROLES.group], "resources": [CLUSTER_ROLES.plural]}
    return which | {"resourceNames": [role_of(offering), kinds_role_of(offering)], "verbs": verbs}


async def provide(
    cluster: Cluster, offering: str, *, namespaced: set[Kind], brought: set[Kind], cluster_scoped: set[Kind]
) -> None:
    """On the kinds its chart brings, and on the cluster-scoped ones it may make; waits until they are in force."""
    known = await _of_offering(cluster, CHARTS, offering)
    roles = bool(cluster_scoped) or any("resourceNames" in rule for rule in known)
    seen = rules_on(brought | kinds_in(rule for rule in known if "resourceNames" not in rule), ["list"])
    await _set(cluster, CHARTS, offering, seen + ([on_roles(offering, CHANGING)] if roles else []))
    making = allowed(namespaced, await _of_offering(cluster, BROUGHT, offering))
    await _set(cluster, BROUGHT, offering, making)
    if making:
        await _settled(cluster, RELEASES, making)
    if roles:
        await _set(cluster, BINDINGS, offering, [on_roles(offering, ["bind"])])
        await _in_force(lambda: _apply_roles(cluster, offering, cluster_scoped))


async def withdraw(cluster: Cluster, offering: str) -> None:
    known = await _of_offering(cluster, CHARTS, offering)
    if any("resourceNames" in rule for rule in known):
        for name in (role_of(offering), kinds_role_of(offering)):
            await cluster.delete(CLUSTER_ROLES, name)
    for role in (BROUGHT, BINDINGS, CHARTS):
        if await _of_offering(cluster, role, offering):
            await _set(cluster, role, offering, [])


async def _apply_roles(cluster: Cluster, offering: str, kinds: set[Kind]) -> None:
    before = await cluster.get(CLUSTER_ROLES, kinds_role_of(offering)) or {}
    rules = allowed(kinds, _rules(before))
    label = {AGGREGATE: offering}
    ours = {"metadata": {"name": kinds_role_of(offering), "labels": label}, "rules": rules}
    await cluster.apply(CLUSTER_ROLES, ours, "rights")
    together = {"clusterRoleSelectors": [{"matchLabels": label}]}
    whole = {"metadata": {"name": role_of(offering)}, "aggregationRule": together}
    await cluster.apply(CLUSTER_ROLES, whole, "rights")
    await _settled(cluster, role_of(offering), rules)


async def _in_force(step: Callable[[], Any]) -> None:
    """What was granted a moment ago is known to the API server's authorizer a moment later."""
    for wait in (0.05, 0.1, 0.2, 0.5, 1.0):
        try:
            await step()
            return
        except ApiError as error:
            if error.status != 403:
                raise
        await asyncio.sleep(wait)
    raise RetryLater("rights that were granted just now are not in force yet")


async def _settled(cluster: Cluster, role: str, wanted: list[Rule]) -> None:
    """Until Kubernetes has put the role together."""
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while True:
                rules = _rules(await cluster.get(CLUSTER_ROLES, role) or {})
                if all(rule in rules for rule in wanted):
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise RetryLater(f"ClusterRole {role} is not put together yet") from None


async def _of_offering(cluster: Cluster, role: str, offering: str) -> list[Rule]:
    return _annotated(await _existing(cluster, role)).get(offering, [])


async def _set(cluster: Cluster, role: str, offering: str, rules: list[Rule]) -> None:
    """The Offering's share of a role. What each one's is stands in the annotations, since a rule has no name."""

    def change(found: Object) -> Mapping[str, Any]:
        shares = {key: share for key, share in _annotated(found).items() if key != offering}
        shares |= {offering: rules} if rules else {}
        foreign = {key: text for key, text in _annotations(found).items() if not key.startswith(OFFERING)}
        told = {OFFERING + key: json.dumps(share, separators=(",", ":")) for key, share in shares.items()}
        merged: list[Rule] = []
        for share in shares.values():
            merged += [rule for rule in share if rule not in merged]
        return {"rules": merged, "metadata/annotations": foreign | told}

    await _change(cluster, role, change)


def _annotated(role: Object) -> dict[str, list[Rule]]:
    found = {key: text for key, text in _annotations(role).items() if key.startswith(OFFERING)}
    return {key.removeprefix(OFFERING): json.loads(text) for key, text in found.items()}


def _annotations(role: Object) -> dict[str, str]:
    return role["metadata"].get("annotations") or {}


def _rules(role: Object) -> list[Rule]:
    return role.get("rules") or []


def _with(role: Object, wanted: Rule) -> list[Rule]:
    rules = _rules(role)
    return rules if wanted in rules else [*rules, wanted]


async def _existing(cluster: Cluster, name: str) -> Object:
    role = await cluster.get(CLUSTER_ROLES, name)
    if role is None:
        raise RetryLater(f"ClusterRole {name} is missing: apply knative/base/rbac.yaml", after=30)
    return role


async def _change(cluster: Cluster, name: str, change: Callable[[Object], Mapping[str, Any]]) -> None:
    """Two steps may change a role at once: the test on the version makes the later one look again."""
    for _ in range(TRIES):
        role = await _existing(cluster, name)
        changed = {path: value for path, value in change(role).items() if value != _at(role, path)}
        if not changed:
            return
        operations = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": role["metadata"]["resourceVersion"]},
            *({"op": "add", "path": f"/{path}", "value": value} for path, value in changed.items()),
        ]
        try:
            await cluster.patch(CLUSTER_ROLES, name, operations)
        except Invalid:
            continue
        return
    raise RetryLater(f"ClusterRole {name} is changed by too many at once")


def _at(role: Object, path: str) -> Any:
    return _rules(role) if path == "rules" else _annotations(role)
