"""What Helm may do for an Offering: what its chart was seen to make, and what its Roles hand on. Pure.

Kubernetes lets nobody hand on rights that he doesn't hold. So Helm holds what the chart's own Roles contained when they
were reviewed, and a Role that contains more is refused by the API server whenever it turns up.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from shared.checks import switched_by
from shared.errors import Refused
from shared.kinds import BUILT_IN
from shared.manifests import Manifest, items, mapping
from shared.offering import Values
from shared.problems import Problem
from shared.resources import CUSTOM_RESOURCE_DEFINITIONS, GROUP
from shared.rights import Kind, Reviewed, Rule
from shared.templates import Named

RBAC = "rbac.authorization.k8s.io"
READ = {"get", "list", "watch"}
NEVER = {"*", "escalate", "bind", "impersonate"}
OURS = {("", "ResourceQuota"), ("", "LimitRange")}
"""What bounds a release namespace is not the chart's to make."""
UNSEEN = {*OURS, ("networking.k8s.io", "NetworkPolicy"), (RBAC, "Role"), (RBAC, "RoleBinding")}
"""Kinds whose objects are reviewed one by one: that a template names them is not enough."""
BOUNDING = {
    "": {"resourcequotas", "limitranges", "namespaces"},
    "networking.k8s.io": {"networkpolicies"},
    RBAC: {"roles", "rolebindings", "clusterroles", "clusterrolebindings"},
}
"""Who changes these frees himself of his bounds. A Role reaches its own namespace too, with its Pod Security labels."""
RULES = 60_000
"""Bytes of JSON."""
FIX = "narrow it or switch it off by spec.values"


@dataclass(frozen=True)
class Makes:
    """What a chart was seen to make, with every plan."""

    kinds: frozenset[tuple[str, str]] = frozenset()
    named: frozenset[Named] = frozenset()
    looked_up: frozenset[Named] = frozenset()
    handed_on: tuple[Rule, ...] = ()
    defines: frozenset[tuple[str, str, str]] = frozenset()
    """Group, kind and plural of the namespaced kinds whose CRDs are templates."""
    crds: frozenset[str] = frozenset()
    """Their names, and those of cluster-scoped ones."""

    def __or__(self, other: "Makes") -> "Makes":
        return Makes(
            self.kinds | other.kinds,
            self.named | other.named,
            self.looked_up | other.looked_up,
            unique([*self.handed_on, *other.handed_on]),
            self.defines | other.defines,
            self.crds | other.crds,
        )


@dataclass(frozen=True)
class Known:
    """A kind as the cluster or the chart's own CRDs have it."""

    kind: str
    group: str
    plural: str
    namespaced: bool = True


# What a chart makes


def makes(manifests: Iterable[Manifest]) -> Makes:
    """Raises Refused when its Roles are too much to keep."""
    real = [each for each in manifests if not each.only_a_test and not each.from_crds]
    handed_on = unique(rule for each in handing_on(real) for rule in rules(each))
    if len(json.dumps(handed_on)) > RULES:
        raise Refused("ForbiddenRights", f"the chart's Roles hold more than {RULES} bytes of rules; {FIX}")
    crds = [each for each in real if is_crd(each)]
    return Makes(
        kinds=frozenset((each.group, each.kind) for each in real),
        handed_on=handed_on,
        defines=frozenset(defined for each in crds for defined in defines(each)),
        crds=frozenset(each.name for each in crds),
    )


def is_crd(each: Manifest) -> bool:
    return (each.group, each.kind) == (CUSTOM_RESOURCE_DEFINITIONS.group, CUSTOM_RESOURCE_DEFINITIONS.kind)


def defines(crd: Manifest) -> Iterator[tuple[str, str, str]]:
    spec = mapping(crd.body.get("spec"))
    names = mapping(spec.get("names"))
    if spec.get("scope") == "Namespaced":
        yield str(spec.get("group")), str(names.get("kind")), str(names.get("plural"))


def handing_on(manifests: list[Manifest]) -> list[Manifest]:
    """Roles, and ClusterRoles as far as a RoleBinding hands them on in the namespace."""
    bound = {name for each in manifests for name in [cluster_role_of(each)] if name}
    return [each for each in manifests if is_(each, "Role") or (is_(each, "ClusterRole") and each.name in bound)]


def is_(each: Manifest, kind: str) -> bool:
    return (each.group, each.kind) == (RBAC, kind)


def cluster_role_of(each: Manifest) -> str | None:
    """Which ClusterRole a RoleBinding hands on."""
    role = mapping(each.body.get("roleRef"))
    return str(role.get("name")) if is_(each, "RoleBinding") and role.get("kind") == "ClusterRole" else None


def rules(role: Manifest) -> Iterator[Rule]:
    """On objects of whatever name: their names are those of the sample that was rendered."""
    for rule in items(role.body.get("rules")):
        found = {part: sorted(set(texts(rule.get(part)))) for part in ("apiGroups", "resources", "verbs")}
        if all(found.values()):
            yield found


def texts(values: Any) -> list[str]:
    return [str(each) for each in values] if isinstance(values, list) else []


def unique(found: Iterable[Rule]) -> tuple[Rule, ...]:
    return tuple({json.dumps(rule, sort_keys=True): rule for rule in found}.values())


# What it may not


def problems(manifests: Iterable[Manifest], values: Values) -> list[Problem]:
    """What no chart gets, with the switches that its values may have for it."""
    real = [each for each in manifests if not each.only_a_test and not each.from_crds]
    own = {each.name for each in real if is_(each, "ClusterRole")}
    found = [(each, why) for each in handing_on(real) for rule in items(each.body.get("rules")) for why in wrong(rule)]
    for each in real:
        if (each.group, each.kind) in OURS:
            found.append((each, "bounds the namespace, which is for spec.policies to do"))
        name = cluster_role_of(each)
        if name and name not in own:
            found.append((each, f"hands on ClusterRole {name}, which is not the chart's and so was not reviewed"))
    return [Problem("ForbiddenRights", told(each, why, values)) for each, why in found]


def told(each: Manifest, why: str, values: Values) -> str:
    switches = switched_by(each, values)
    return f"{each.source}: {each.shown} {why}; {FIX}{f': {switches}' if switches else ''}"


def wrong(rule: Mapping[str, Any]) -> Iterator[str]:
    """With what one rule would undo what bounds its namespace, or what can't be known of it beforehand."""
    groups, resources, verbs = (texts(rule.get(part)) for part in ("apiGroups", "resources", "verbs"))
    for part, words in (("apiGroups", groups), ("resources", resources)):
        if any("*" in word for word in words):
            yield f"allows {part} {shown(words)}: name them one by one, or nobody knows what it may do"
    if bad := NEVER.intersection(verbs):
        yield f"allows verbs {shown(bad)} on {shown(resources)}: name verbs one by one, without {shown(NEVER)}"
    if rule.get("nonResourceURLs"):
        yield "allows nonResourceURLs, which live in no namespace"
    if any(group == GROUP or group.endswith(f".{GROUP}") for group in groups):
        yield f"allows something on {GROUP}, which is not for charts"
    if set(verbs) - READ - NEVER:
        yield from (f"allows {shown(verbs)} on {resource}, which bounds it" for resource in bounding(groups, resources))


def bounding(groups: Iterable[str], resources: Iterable[str]) -> list[str]:
    over = {name for group in groups for name in BOUNDING.get(group, ())}
    tokens = {"serviceaccounts/token"} if "" in groups else set()
    return [each for each in resources if each in tokens or each.partition("/")[0] in over]


def shown(words: Iterable[str]) -> str:
    return ", ".join(repr(word) if word in ("", "*") else word for word in sorted(words))[:300]


# As resources of the API


class Index:
    """Namespaced kinds by what templates call them."""

    def __init__(self, known: Iterable[Known]) -> None:
        every = [each for each in known if each.namespaced]
        self._plurals = {(each.group, each.kind): each.plural for each in every}
        self._groups: dict[str, list[str]] = defaultdict(list)
        for group, kind in self._plurals:
            self._groups[kind].append(group)

    def resources(self, kinds: Iterable[Named]) -> frozenset[Kind]:
        """A kind that nobody serves is left out: Helm could not make it either."""
        found = {(each, kind) for group, kind in kinds for each in self._groups_of(group, kind)}
        return frozenset((group, self._plurals[group, kind]) for group, kind in found if (group, kind) in self._plurals)

    def _groups_of(self, group: str | None, kind: str) -> list[str]:
        """Where the apiVersion is worked out: Kubernetes' own groups, or the only one that has such a kind."""
        if group is not None:
            return [group]
        own = [each for each, name in BUILT_IN if name == kind]
        others = self._groups.get(kind, [])
        return own or (others if len(others) == 1 else [])


def reviewed(found: Makes, cluster_scoped: Iterable[Kind], known: Iterable[Known]) -> Reviewed:
    index = Index([*known, *(Known(kind, group, plural) for group, kind, plural in found.defines)])
    return Reviewed(
        namespaced=index.resources(found.kinds) - index.resources(OURS)
        | index.resources(found.named) - index.resources(UNSEEN),
        looked_up=index.resources(found.looked_up),
        handed_on=found.handed_on,
        cluster_scoped=frozenset(cluster_scoped),
        crds=found.crds,
    )


# As it is kept beside the Offering


def written(found: Makes | Reviewed) -> str:
    """JSON, always the same for the same."""
    whole = {each.name: _plain(getattr(found, each.name)) for each in fields(found)}
    return json.dumps(whole, separators=(",", ":"))


def _plain(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, frozenset) else list(value)


T = TypeVar("T", Makes, Reviewed)


def read(text: str, kind: type[T]) -> T:
    """What `written` wrote."""
    whole = json.loads(text)
    return kind(**{key: _whole(key, value) for key, value in whole.items()})


def _whole(key: str, value: list[Any]) -> Any:
    if key == "handed_on":
        return tuple(value)
    return frozenset(tuple(each) if isinstance(each, list) else each for each in value)
