"""The Helm chart of Chandlery: what kustomize makes of each choice of components, with the choices as values.

`python -m knative.chart` writes the templates of charts/chandlery from every choice there is. An object that is the
same in all of them stands there plainly; of one that isn't, each form stands under the values that lead to it.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from knative import pods
from knative.choices import CHOICES, Choice, Manifest, chosen, objects
from knative.local.build import build
from knative.manifests import functions
from shared.crds import to_yaml
from shared.resources import SYSTEM_NAMESPACE

CHART = Path(__file__).parent.parent / "charts" / "chandlery"
HEADER = "{{- /* Generated: python -m knative.chart */}}\n"
AXES = {
    "served": ".Values.served",
    "broker": ".Values.broker",
    "ledger": ".Values.ledger.kind",
    "nats": ".Values.nats.kind",
}
KEEP = "helm.sh/resource-policy"
"""On CRDs: with them would go all that everybody ordered."""
CONFIGURATION = "chandlery.dev/configuration"
"""On pods: a hash of what their environment is made of, so that they are replaced when it changes."""

Key = tuple[str, str, str, str]


def key(one: Manifest) -> Key:
    metadata = one["metadata"]
    return one["kind"], one["apiVersion"], metadata.get("namespace", ""), metadata["name"]


def forms(found: Mapping[Choice, tuple[Manifest, ...]]) -> dict[Key, dict[Choice, Manifest | None]]:
    """Each object in each choice."""
    by_choice = {choice: {key(one): one for one in ones} for choice, ones in found.items()}
    keys = sorted({each for ones in by_choice.values() for each in ones})
    return {each: {choice: ones.get(each) for choice, ones in by_choice.items()} for each in keys}


def matters(form: Mapping[Choice, Manifest | None], axis: str) -> bool:
    """Whether two choices that differ in nothing else give different objects."""
    seen: dict[tuple[str, ...], Manifest | None] = {}
    for choice, one in form.items():
        others = tuple(getattr(choice, each) for each in AXES if each != axis)
        if seen.setdefault(others, one) != one:
            return True
    return False


def conditional(form: Mapping[Choice, Manifest | None]) -> Iterator[tuple[dict[str, str], Manifest]]:
    """What has to be chosen for which form of an object."""
    axes = [axis for axis in AXES if matters(form, axis)]
    told: dict[tuple[str, ...], Manifest | None] = {tuple(getattr(c, a) for a in axes): one for c, one in form.items()}
    for values, one in told.items():
        if one is not None:
            yield dict(zip(axes, values, strict=True)), one


# What is a value in the chart and a constant in the overlays stands as @@NAME@@ in the YAML until the end.


def marked(one: Manifest) -> Manifest:
    """A copy in which values stand for what users change."""
    found: Manifest = json.loads(json.dumps(one))
    kind, name = found["kind"], found["metadata"]["name"]
    if kind == "CustomResourceDefinition":
        found["metadata"].setdefault("annotations", {})[KEEP] = "keep"
    if kind == "ConfigMap" and name == "chandlery":
        found["data"]["LOG_LEVEL"] = "@@logLevel@@"
        found["data"]["@@tracing@@"] = ""
        if "NATS_CREDS" in found["data"]:
            found["data"]["NATS_URL"] = "@@natsUrl@@"
    if kind == "PersistentVolumeClaim":
        claim(found["spec"], "ledger")
    if kind == "StatefulSet":
        claim(found["spec"]["volumeClaimTemplates"][0]["spec"], "nats")
    if "template" in found.get("spec", {}):
        pod_template(name, found["spec"]["template"])
    return found


def claim(spec: Manifest, values: str) -> None:
    spec["resources"]["requests"]["storage"] = f"@@{values}Storage@@"
    spec[f"@@{values}Class@@"] = ""


def pod_template(name: str, template: Manifest) -> None:
    ours = False
    for one in [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]:
        ours = ours or one["image"] == pods.IMAGE
        one["image"] = "@@image@@" if one["image"] == pods.IMAGE else "@@natsImage@@"
        one["@@pullPolicy@@"] = ""
    main = template["spec"]["containers"][0]
    main["resources"] = f"@@resources {name} {json.dumps(main['resources'], sort_keys=True)}@@"
    template["spec"]["@@pullSecrets@@"] = ""
    if ours:
        template["metadata"].setdefault("annotations", {})[CONFIGURATION] = "@@configuration@@"


VALUES = {
    "image": '{{ include "chandlery.image" . | quote }}',
    "natsImage": "{{ .Values.nats.image | quote }}",
    "logLevel": "{{ .Values.logLevel | quote }}",
    "natsUrl": "{{ .Values.nats.url | quote }}",
    "ledgerStorage": "{{ .Values.ledger.storage | quote }}",
    "natsStorage": "{{ .Values.nats.storage | quote }}",
    "configuration": '{{ include "chandlery.configuration" . | quote }}',
}
LINES = {
    # Values that an upgrade reuses may be older than this one.
    "tracing": ("with (.Values.tracing).endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}"),
    "ledgerClass": ("with .Values.ledger.storageClass", "storageClassName: {{ . | quote }}"),
    "natsClass": ("with .Values.nats.storageClass", "storageClassName: {{ . | quote }}"),
    "pullPolicy": ("with .Values.image.pullPolicy", "imagePullPolicy: {{ . }}"),
    "pullSecrets": ("with .Values.imagePullSecrets", "imagePullSecrets: {{ toJson . }}"),
}


def template(one: Manifest) -> str:
    """As YAML with Helm's actions in it."""
    text = to_yaml(marked(one)).replace("{{", '{{ "{{" }}')
    for name, (condition, line) in LINES.items():
        block = rf"\1{{{{- {condition} }}}}\n\1{line}\n\1{{{{- end }}}}\n"
        text = re.sub(rf"^( *)'@@{name}@@': ''\n", block, text, flags=re.MULTILINE)
    text = re.sub(r"'@@resources (\S+) (.*?)@@'", resources, text, flags=re.DOTALL)
    for name, action in VALUES.items():
        text = text.replace(f"'@@{name}@@'", action)
    if "@@" in text:
        raise ValueError(f"{key(one)}: something was marked and not replaced:\n{text}")
    return text


def resources(found: re.Match[str]) -> str:
    default = re.sub(r"\s+", " ", found[2])
    return f'{{{{ index .Values.resources "{found[1]}" | default (fromJson `{default}`) | toJson }}}}'


def wrapped(values: Mapping[str, str], text: str) -> str:
    if not values:
        return f"---\n{text}"
    tests = [f'(eq {AXES[axis]} "{value}")' for axis, value in values.items()]
    condition = f"and {' '.join(tests)}" if len(tests) > 1 else tests[0][1:-1]
    return f"{{{{- if {condition} }}}}\n---\n{text}{{{{- end }}}}\n"


def file_of(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower() + ".yaml"


def trial() -> list[Manifest]:
    """What `helm test` starts: a pod that asks each function whether it is there, and may."""
    name = "chandlery-test"
    hook = {"helm.sh/hook": "test", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded"}
    metadata = {**pods.metadata(name, "test"), "annotations": hook}
    names = [pods.kebab(each) for each in functions()]
    one = pods.container(["knative.answers", *names], "128Mi", "25m", {}, "/healthz")
    for part in ("ports", "readinessProbe", "livenessProbe", "envFrom"):
        del one[part]
    one["image"] = "@@image@@"
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "containers": [one],
        "volumes": [pods.scratch("16Mi")],
        "@@pullSecrets@@": "",
    }
    policy = {
        "podSelector": {"matchLabels": pods.LABELS},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": pods.labels(name, "test")}}],
                "ports": [{"port": pods.PORT}],
            }
        ],
    }
    before = {**hook, "helm.sh/hook-weight": "-1"}
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {**metadata, "annotations": before},
            "spec": policy,
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
    ]


def description() -> Manifest:
    return {
        "apiVersion": "v2",
        "name": "chandlery",
        "description": "Any Helm chart as a service on Kubernetes, by event-driven Knative functions",
        "type": "application",
        "version": pods.version(),
        "appVersion": pods.version(),
        "kubeVersion": ">=1.30.0-0",
    }


def files(kubectl: str) -> dict[str, str]:
    """The generated files of the chart. The namespace is Helm's to make: --create-namespace."""
    found = {choice: objects(chosen(kubectl, choice)) for choice in CHOICES}
    texts: dict[str, str] = defaultdict(lambda: HEADER)
    for (kind, _, _, name), form in forms(found).items():
        if (kind, name) == ("Namespace", SYSTEM_NAMESPACE):
            continue
        for values, one in conditional(form):
            texts[f"templates/{file_of(kind)}"] += wrapped(values, template(one))
    texts["templates/tests/answers.yaml"] += "".join(f"---\n{template(each)}" for each in trial())
    texts["Chart.yaml"] = "# Generated: python -m knative.chart\n" + to_yaml(description())
    return dict(texts)


def write(folder: Path, made: Mapping[str, str]) -> None:
    for old in [*folder.glob("templates/*.yaml"), *folder.glob("templates/tests/*.yaml")]:
        old.unlink()
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main() -> None:
    tools: Any = build()
    write(CHART, files(tools["kubectl"]))


if __name__ == "__main__":
    main()
