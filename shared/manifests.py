"""What `helm template` prints, as objects. The text is as untrusted as the chart: measured before it is built. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared import documents
from shared.errors import Refused

NODES = 500_000
"""YAML nodes of one rendering: some five megabytes of ordinary manifests, three seconds to read."""
NAME = 253
HOOK = "helm.sh/hook"
TESTS = frozenset({"test", "test-success", "test-failure"})

_START = re.compile(r"^---\n# Source: [^/\n]+/(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Manifest:
    """One object that a template made."""

    source: str
    """The template's path in the chart."""
    api_version: str
    kind: str
    name: str
    namespace: str | None
    body: dict[str, Any]

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def shown(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def hook_events(self) -> tuple[str, ...]:
        said = annotations(self.body).get(HOOK)
        return tuple(sorted({each.strip() for each in said.split(",")} - {""})) if isinstance(said, str) else ()

    @property
    def only_a_test(self) -> bool:
        """Made by `helm test` alone, which nobody runs here."""
        return bool(self.hook_events) and TESTS.issuperset(self.hook_events)

    @property
    def from_crds(self) -> bool:
        """From a folder crds/, the chart's own or a subchart's, not from a template."""
        parts = self.source.split("/")
        return parts[0] == "crds" or (parts[0] == "charts" and "crds" in parts and "templates" not in parts)


def annotations(body: dict[str, Any]) -> dict[str, Any]:
    return mapping(mapping(body.get("metadata")).get("annotations"))


def mapping(value: Any) -> dict[str, Any]:
    """A map, or an empty one where a chart has put something else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[dict[str, Any]]:
    """The maps of a list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def split(text: str) -> list[tuple[str, str]]:
    """(source, text) of every document, as Helm separates and heads them."""
    starts = [*_START.finditer(text)]
    ends = [*(start.start() for start in starts), len(text)][1:]
    return [(start[1], text[start.end() : end]) for start, end in zip(starts, ends, strict=True)]


def parse(text: str) -> list[Manifest]:
    """Raises Refused for what is no Kubernetes object. Costs seconds at the limit: call it in a thread."""
    return parse_documents(split(text))


def parse_documents(parts: list[tuple[str, str]]) -> list[Manifest]:
    left = NODES
    found: list[Manifest] = []
    for source, text in parts:
        loaded, nodes = documents.load(text.encode(), source, left)
        left -= nodes
        found += [each for document in loaded if document is not None for each in objects(document, source)]
    return found


def objects(document: Any, source: str) -> Iterator[Manifest]:
    """The object, or those in a list of them, which Helm takes apart too."""
    if not isinstance(document, dict):
        raise wrong(source, "renders to something that is no Kubernetes object")
    kind, api_version = document.get("kind"), document.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(api_version, str) or not kind or not api_version:
        raise wrong(source, "renders an object without kind and apiVersion")
    if kind.endswith("List") and isinstance(document.get("items"), list):
        for each in document["items"]:
            yield from objects(each, source)
        return
    metadata = mapping(document.get("metadata"))
    yield Manifest(source, api_version, kind, name_of(metadata, source, kind), namespace_of(metadata), document)


def name_of(metadata: dict[str, Any], source: str, kind: str) -> str:
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if name is None and isinstance(prefix, str) and prefix:
        return f"{prefix}*"
    if not isinstance(name, str | int | float) or name == "" or len(str(name)) > NAME:
        raise wrong(source, f"renders a {kind} without a name of at most {NAME} characters")
    return documents.plain(name)


def namespace_of(metadata: dict[str, Any]) -> str | None:
    namespace = metadata.get("namespace")
    return documents.plain(namespace) if isinstance(namespace, str | int) and namespace != "" else None


def wrong(source: str, what: str) -> Refused:
    return Refused("InvalidManifest", f"{source}: {what}; correct the template, or set spec.values so that it does not")
