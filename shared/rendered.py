"""What a rendered chart would bring along: hooks, rights, images, storage, appetite. For people to read. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.demand import Demand, demand, pod_spec, workload
from shared.kinds import BUILT_IN
from shared.manifests import Manifest, annotations, items, mapping
from shared.offering import Pods

DEEP = 12
BROAD_VERBS = {"*", "escalate", "bind", "impersonate"}
BROAD_RESOURCES = {"*", "secrets", "pods/exec", "pods/attach", "serviceaccounts/token"}
RULED = ("Role", "ClusterRole")
BOUND = ("RoleBinding", "ClusterRoleBinding")


@dataclass(frozen=True)
class Hook:
    object: str
    events: tuple[str, ...]
    weight: int


@dataclass(frozen=True)
class Rights:
    """What a Role grants or a binding hands on; `broad` tells why somebody should look."""

    object: str
    grants: tuple[str, ...]
    broad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Storage:
    """`name` None: none is stated, so the cluster's default is taken; "": a volume that somebody makes by hand."""

    object: str
    name: str | None


@dataclass(frozen=True)
class Findings:
    objects: tuple[str, ...]
    hooks: tuple[Hook, ...]
    rbac: tuple[Rights, ...]
    images: tuple[str, ...]
    storage: tuple[Storage, ...]
    demand: Demand
    tests: tuple[str, ...] = field(default=())
    """Objects that only `helm test` would make: never here."""


def findings(manifests: list[Manifest], defaults: Pods | None = None) -> Findings:
    real = [each for each in manifests if not each.only_a_test]
    return Findings(
        objects=tuple(each.shown for each in real),
        hooks=hooks(real),
        rbac=tuple(found for each in real for found in rights(each)),
        images=tuple(sorted({image for each in real for image in images(each)})),
        storage=tuple(found for each in real for found in storage(each, real)),
        demand=demand(real, defaults),
        tests=tuple(each.shown for each in manifests if each.only_a_test),
    )


def hooks(manifests: Iterable[Manifest]) -> tuple[Hook, ...]:
    """In the order in which Helm runs those of one event."""
    found = [Hook(each.shown, each.hook_events, weight(each)) for each in manifests if each.hook_events]
    return tuple(sorted(found, key=lambda hook: (hook.weight, hook.object)))


def weight(each: Manifest) -> int:
    """Zero for what is no number, as Helm has it."""
    said = annotations(each.body).get("helm.sh/hook-weight")
    try:
        return int(str(said)[:20])
    except ValueError:
        return 0


def rights(each: Manifest) -> Iterator[Rights]:
    if each.group != "rbac.authorization.k8s.io":
        return
    if each.kind in RULED:
        rules = items(each.body.get("rules"))
        grants = tuple(_rule(rule) for rule in rules)
        yield Rights(each.shown, grants, tuple(why for rule in rules for why in _broad(rule)))
    elif each.kind in BOUND:
        role = mapping(each.body.get("roleRef"))
        subjects = ", ".join(_subject(subject) for subject in items(each.body.get("subjects"))) or "nobody"
        yield Rights(each.shown, (f"{role.get('kind')}/{role.get('name')} to {subjects}",))


def _rule(rule: dict[str, Any]) -> str:
    what = [*_texts(rule.get("resources")), *_texts(rule.get("nonResourceURLs"))]
    names = _texts(rule.get("resourceNames"))
    only = f" named {', '.join(names)}" if names else ""
    groups = [group for group in _texts(rule.get("apiGroups")) if group]
    where = f" of {', '.join(groups)}" if groups else ""
    return f"{', '.join(_texts(rule.get('verbs')))} {', '.join(what)}{where}{only}"


def _broad(rule: dict[str, Any]) -> Iterator[str]:
    verbs = sorted(BROAD_VERBS.intersection(_texts(rule.get("verbs"))))
    resources = sorted(BROAD_RESOURCES.intersection(_texts(rule.get("resources"))))
    if verbs:
        yield f"verb {', '.join(verbs)}"
    if resources and not _texts(rule.get("resourceNames")):
        yield f"all of {', '.join(resources)}"


def _subject(subject: dict[str, Any]) -> str:
    return f"{subject.get('kind')}/{subject.get('name')}"


def _texts(values: Any) -> list[str]:
    return [str(each) for each in values] if isinstance(values, list) else []


def images(each: Manifest) -> Iterator[str]:
    """Of containers, and of other kinds' objects that plainly name one."""
    pods = pod_spec(each)
    if pods is not None:
        for part in ("initContainers", "containers", "ephemeralContainers"):
            yield from (str(one["image"]) for one in items(pods.get(part)) if one.get("image"))
    elif (each.group, each.kind) not in BUILT_IN:
        yield from _named_images(each.body.get("spec"), DEEP)


def _named_images(value: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _named_images(entry, depth - 1)
    elif isinstance(value, dict):
        for key, below in value.items():
            if key == "image" and isinstance(below, str) and below:
                yield below
            else:
                yield from _named_images(below, depth - 1)


def storage(each: Manifest, manifests: list[Manifest]) -> Iterator[Storage]:
    if each.kind == "PersistentVolumeClaim":
        claims = [mapping(each.body.get("spec"))]
    else:
        work = workload(each, manifests)
        claims = work.claims if work else []
    for claim in claims:
        name = claim.get("storageClassName")
        yield Storage(each.shown, name if isinstance(name, str) else None)
