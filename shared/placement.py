"""Where the pods of a release run, as the Offering has it: on every pod and every template of pods. Pure.

Custom resources are left alone: what their operators make of them is not known here.
"""

import re
from typing import Any

import yaml

from shared.demand import pod_path
from shared.manifests import Manifest, items, mapping
from shared.offering import Pods

NODE_SELECTOR = "chandlery.dev/node-selector"
TOLERATIONS = "chandlery.dev/tolerations"
RUNTIME_CLASS = "chandlery.dev/runtime-class"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{3,}")
WORDS = {"true", "false", "null", "none"}


def placement(pods: Pods) -> dict[str, Any]:
    """As fields of a pod's spec; empty where the Offering has nothing to say."""
    wanted = {
        "nodeSelector": pods.node_selector,
        "tolerations": pods.tolerations,
        "runtimeClassName": pods.runtime_class_name,
    }
    return {name: value for name, value in wanted.items() if value}


def marks(pods: Pods) -> dict[str, str]:
    """The same as annotations of the release namespace, for pods that only the API server sees being made."""
    parts = ("key", "operator", "value", "effect", "tolerationSeconds")
    tolerations = ["|".join(str(each.get(part, "")) for part in parts) for each in pods.tolerations]
    said = {
        NODE_SELECTOR: ",".join(f"{name}={value}" for name, value in sorted(pods.node_selector.items())),
        TOLERATIONS: ",".join(tolerations),
        RUNTIME_CLASS: pods.runtime_class_name or "",
    }
    return {name: value for name, value in said.items() if value}


def placed(each: Manifest, wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The object with all its pods where they belong; None where it makes none."""
    path = pod_path(each)
    return None if path is None or not wanted else _changed(each.body, (*path, "spec"), wanted)


def _changed(body: dict[str, Any], path: tuple[str, ...], wanted: dict[str, Any]) -> dict[str, Any]:
    if not path:
        return body | changed(body, wanted)
    first, *rest = path
    return body | {first: _changed(mapping(body.get(first)), tuple(rest), wanted)}


def changed(spec: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """The Offering wins over the chart; what the chart tolerates besides stays."""
    found = dict(wanted)
    if "nodeSelector" in wanted:
        found["nodeSelector"] = {**mapping(spec.get("nodeSelector")), **wanted["nodeSelector"]}
    if "tolerations" in wanted:
        own = items(spec.get("tolerations"))
        found["tolerations"] = [*own, *(each for each in wanted["tolerations"] if each not in own)]
    return found


class Dumper(yaml.CSafeDumper):
    """Quotes whatever any dialect of YAML may take for something else than text, and repeats what stands twice."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def text(self, value: str) -> yaml.Node:
        plain = PLAIN.fullmatch(value) and value.lower() not in WORDS
        style = "|" if "\n" in value else None if plain else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Dumper.add_representer(str, Dumper.text)


def written(body: dict[str, Any]) -> str:
    return yaml.dump(body, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=10_000)
