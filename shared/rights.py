"""The ClusterRoles of an Offering, as its chart was reviewed. Pure; shared/granting.py makes them, for grant_access.

Each is an object of its own, that goes when the Offering goes. What functions and Helm are bound to are roles that
Kubernetes puts together from them by a label: those of the functions stand in knative/base/rbac.yaml, and are empty.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shared import ownership
from shared.offering import Offering
from shared.resources import CLUSTER_ROLES, CUSTOM_RESOURCE_DEFINITIONS, OFFERINGS

INSTANCES = "instances"
"""Of the functions, on generated kinds: ClusterRole chandlery-instances."""
CHARTS = "charts"
"""Of register_chart and retire_offering, to see objects of the kinds that charts bring: chandlery-charts."""
BINDINGS = "bindings"
"""Of apply_policies, to bind the roles below: chandlery-bindings."""
AGGREGATE = "chandlery.dev/aggregate-to-"
"""A label's beginning: to which role of ours a ClusterRole is added."""
RELEASE = f"{AGGREGATE}release"
"""With an Offering's name: to what Helm may do in the release namespaces of its instances."""
OFFERING = f"{AGGREGATE}offering"
"""With an Offering's name: to what Helm may do in cluster scope for its instances."""
HANDED_ON = "chandlery.dev/handed-on"
VERBS = ["get", "list", "watch", "patch"]
MAKING = ["get", "list", "watch", "create", "update", "patch", "delete"]
"""Not `*`: that holds `escalate` and `bind`, with which a chart could give itself anything."""
REMOVING = ["get", "list", "watch", "delete"]
READING = ["get", "list", "watch"]
SECRETS = ("", "secrets")
"""Where Helm keeps its releases."""
FOLLOWED = [("", "events"), ("", "pods"), ("", "pods/log"), ("apps", "replicasets"), ("batch", "jobs")]
"""What Helm reads while it waits for a hook."""

Rule = dict[str, Any]
Role = dict[str, Any]
Kind = tuple[str, str]
"""Group and plural."""

CRDS: Kind = (CUSTOM_RESOURCE_DEFINITIONS.group, CUSTOM_RESOURCE_DEFINITIONS.plural)


@dataclass(frozen=True)
class Reviewed:
    """Which resources Helm makes for an Offering, and what it may hand on (shared/chart_rights.py)."""

    namespaced: frozenset[Kind] = frozenset()
    looked_up: frozenset[Kind] = frozenset()
    handed_on: tuple[Rule, ...] = ()
    cluster_scoped: frozenset[Kind] = frozenset()
    crds: frozenset[str] = frozenset()
    """The only CRDs it may change."""


def release_role(offering: str) -> str:
    """What Helm may do in the namespace of each of an Offering's instances."""
    return f"chandlery:release:{offering}"


def release_kinds_role(offering: str) -> str:
    """Our part of it."""
    return f"chandlery:release-kinds:{offering}"


def role_of(offering: str) -> str:
    """What Helm may do in cluster scope for an Offering's instances; an administrator may add to it by the label."""
    return f"chandlery:offering:{offering}"


def kinds_role_of(offering: str) -> str:
    """Our part of it."""
    return f"chandlery:offering-kinds:{offering}"


def functions_role(what: str, offering: str) -> str:
    return f"chandlery:{what}:{offering}"


# Rules


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


def made_by(rules: Iterable[Rule]) -> set[Kind]:
    """Told from what is only handed on by the order of the verbs, which is kept."""
    return kinds_in(rule for rule in rules if rule["verbs"] == MAKING)


def release_rules(reviewed: Reviewed, earlier: Iterable[Kind], handed_on: Iterable[Rule]) -> list[Rule]:
    """Kinds that were reviewed for an `earlier` edition stay: a failed upgrade goes back to it."""
    making = {*reviewed.namespaced, *earlier, SECRETS}
    reading = {*FOLLOWED, *reviewed.looked_up} - making
    return unique([*rules_on(making, MAKING), *rules_on(reading, READING), *handed_on])


def cluster_rules(reviewed: Reviewed, before: list[Rule]) -> list[Rule]:
    """CRDs only by name, those that the chart's templates make; RBAC can't name what is not there yet."""
    others = [rule for rule in before if CRDS[1] not in rule["resources"]]
    rules = allowed(reviewed.cluster_scoped - {CRDS}, others)
    now = reviewed.crds if CRDS in reviewed.cluster_scoped else frozenset()
    names = now.union(*[rule.get("resourceNames", ()) for rule in before if rule["resources"] == [CRDS[1]]])
    which = {"apiGroups": [CRDS[0]], "resources": [CRDS[1]]}
    changing = which | {"resourceNames": sorted(names), "verbs": ["get", "update", "patch", "delete"]}
    return [*rules, *([changing] if names else []), *([which | {"verbs": ["create"]}] if now else [])]


def unique(rules: Iterable[Rule]) -> list[Rule]:
    return list({json.dumps(rule, sort_keys=True): rule for rule in rules}.values())


# Roles


def named(offering: Offering, name: str, labels: dict[str, str], annotations: dict[str, str] | None = None) -> Role:
    owner = {
        "apiVersion": OFFERINGS.api_version,
        "kind": OFFERINGS.kind,
        "name": offering.metadata.name,
        "uid": offering.metadata.uid,
    }
    whose = {
        ownership.MANAGED_BY: ownership.MANAGER,
        ownership.OFFERING: ownership.shortened(offering.metadata.name),
    }
    metadata = {"name": name, "labels": whose | labels, "ownerReferences": [owner]}
    return {"metadata": metadata | ({"annotations": annotations} if annotations else {})}


def put_together(offering: Offering, name: str, label: str) -> Role:
    selector = {"matchLabels": {label: ownership.shortened(offering.metadata.name)}}
    return named(offering, name, {}) | {"aggregationRule": {"clusterRoleSelectors": [selector]}}


def of_functions(offering: Offering, *, served: bool, brought: Iterable[Kind]) -> list[Role]:
    """On its instances, when its kind is served, and on the kinds its chart brings."""
    kind, found = offering.plural, []
    if served:
        rule = {"apiGroups": [offering.spec.api.group], "resources": [kind, f"{kind}/status"], "verbs": VERBS}
        found.append((INSTANCES, [rule]))
    if listing := rules_on(brought, ["list"]):
        found.append((CHARTS, listing))
    return [_functions_part(offering, what, rules) for what, rules in found]


def of_helm(offering: Offering, reviewed: Reviewed, release: Role | None, cluster: Role | None) -> list[Role]:
    """With the roles as they were before; after them the right to bind them."""
    name = offering.metadata.name
    label = ownership.shortened(name)
    editions = successive(reviewed.handed_on, release)
    handed_on = [rule for edition in editions for rule in edition]
    rules = release_rules(reviewed, made_by(rules_of(release)), handed_on)
    told = {HANDED_ON: json.dumps(editions, separators=(",", ":"))}
    found = [
        named(offering, release_kinds_role(name), {RELEASE: label}, told) | {"rules": rules},
        put_together(offering, release_role(name), RELEASE),
    ]
    if reviewed.cluster_scoped or cluster:
        ours = {"rules": cluster_rules(reviewed, rules_of(cluster))}
        found.append(named(offering, kinds_role_of(name), {OFFERING: label}) | ours)
        found.append(put_together(offering, role_of(name), OFFERING))
    binding = {"apiGroups": [CLUSTER_ROLES.group], "resources": [CLUSTER_ROLES.plural], "verbs": ["bind"]}
    names = {"resourceNames": [release_role(name), role_of(name)]}
    return [*found, _functions_part(offering, BINDINGS, [binding | names])]


def _functions_part(offering: Offering, what: str, rules: list[Rule]) -> Role:
    name = functions_role(what, offering.metadata.name)
    return named(offering, name, {f"{AGGREGATE}{what}": "true"}) | {"rules": rules}


def rules_of(role: Role | None) -> list[Rule]:
    return (role or {}).get("rules") or []


def earlier_handed_on(role: Role | None) -> list[list[Rule]]:
    """The newest edition first."""
    annotations = (role or {}).get("metadata", {}).get("annotations") or {}
    editions: list[list[Rule]] = json.loads(annotations.get(HANDED_ON, "[]"))
    return editions


def successive(handed_on: Iterable[Rule], role: Role | None) -> list[list[Rule]]:
    """What is handed on now, and what was before it changed: a failed upgrade goes back to that."""
    now, earlier = [*handed_on], earlier_handed_on(role)
    if earlier and earlier[0] == now:
        return earlier
    return [now, *earlier[:1]]
