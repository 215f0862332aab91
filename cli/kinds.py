"""Which kinds there are, as discovery tells: everybody may ask for it, consumers and providers too."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared import discovery
from shared.cluster import Cluster, Object
from shared.errors import Refused
from shared.resources import GROUP, Resource

CATEGORY = "chandlery"
"""Of our own kinds and of those made for Offerings (shared/crds.py, shared/schema.py)."""

OWN_RULES = Resource(
    "authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False
)


@dataclass(frozen=True)
class Kind:
    resource: Resource
    names: frozenset[str]
    """What people call it, besides plural.group."""
    verbs: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    preferred: bool = True

    @property
    def of_instances(self) -> bool:
        return CATEGORY in self.categories and self.resource.group != GROUP

    @property
    def full(self) -> str:
        return ".".join(part for part in (self.resource.plural, self.resource.group) if part)

    def called(self, word: str) -> bool:
        name, _, group = word.partition(".")
        return name.lower() in self.names and group in ("", self.resource.group)


def kinds_of(groups: Iterable[Object]) -> list[Kind]:
    """Of discovery's documents; a group's first version is the one it prefers."""
    return [
        kind
        for group in groups
        for index, version in enumerate(group.get("versions") or ())
        for found in version.get("resources") or ()
        if (kind := _kind(group, version, found, preferred=index == 0))
    ]


def _kind(group: Object, version: Object, found: Object, *, preferred: bool) -> Kind | None:
    named = found.get("responseKind") or {}
    if not named.get("kind"):
        return None
    plural, singular = found["resource"], found.get("singularResource") or named["kind"].lower()
    resource = Resource(
        group["metadata"].get("name", ""), version["version"], plural, named["kind"], found["scope"] == "Namespaced"
    )
    names = frozenset({plural, singular, named["kind"].lower(), *(found.get("shortNames") or ())})
    verbs, categories = frozenset(found.get("verbs") or ()), frozenset(found.get("categories") or ())
    return Kind(resource, names, verbs, categories, preferred)


async def served(cluster: Cluster) -> list[Kind]:
    return kinds_of(await discovery.groups(cluster))


def of_instances(kinds: Iterable[Kind]) -> list[Kind]:
    found = [kind for kind in kinds if kind.of_instances and kind.preferred]
    return sorted(found, key=lambda kind: kind.full)


def named(word: str, kinds: Iterable[Kind]) -> Kind:
    """Of ours and of Offerings; raises Refused with what there is instead."""
    ours = [kind for kind in kinds if CATEGORY in kind.categories and kind.preferred]
    found = [kind for kind in ours if kind.called(word)]
    if not found:
        there = ", ".join(sorted(kind.full for kind in ours)) or "none: `chandlery doctor` says why"
        raise Refused("NotFound", f"{word}: there is no such kind of Chandlery; there are: {there}")
    if len(found) > 1:
        choices = " or ".join(sorted(kind.full for kind in found))
        raise Refused("Ambiguous", f"{word} is the name of several kinds; write {choices}")
    return found[0]
