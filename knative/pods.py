"""The pods of functions and sources, as Knative Services and as Deployments: one image, told apart by its arguments.

Everything a pod needs to be let in under Pod Security's `restricted` stands at its container, where Knative Serving
takes it without any of its optional features switched on.
"""

import tomllib
from pathlib import Path
from typing import Any

from events.catalog import DEAD_LETTERS, WEBHOOKS
from knative.workloads import CERTIFICATES, SOURCES, Source, Workload, keeps_ledger, workload
from shared.resources import SYSTEM_NAMESPACE

LABELS = {"app.kubernetes.io/part-of": "chandlery"}
PORT, TLS_PORT = 8080, 8443
USER = 65532
DRAIN = 5
"""Seconds until everybody has heard that a pod is going, in which it still takes what is sent to it."""

Manifest = dict[str, Any]


def version() -> str:
    pyproject = Path(__file__).parent.parent / "pyproject.toml"
    return str(tomllib.loads(pyproject.read_text())["project"]["version"])


IMAGE = f"chandlery:{version()}"


def kebab(function: str) -> str:
    return function.replace("_", "-")


def component(function: str) -> str:
    """What sort of pod it has; overlays and network policies choose by it."""
    if function in WEBHOOKS:
        return "webhook"
    if keeps_ledger(function):
        return "ledger"
    return "letters" if function in DEAD_LETTERS else "function"


def scales(function: str) -> bool:
    """Knative Serving may serve it. Not webhooks, which the API server calls by HTTPS; not what keeps the ledger, which
    is called at every tick and would never rest, and may be one file on one volume; not what is called when all else
    has failed."""
    return component(function) == "function"


def labels(name: str, sort: str) -> dict[str, str]:
    return {**LABELS, "app.kubernetes.io/name": name, "app.kubernetes.io/component": sort}


def metadata(name: str, sort: str) -> Manifest:
    return {"name": name, "namespace": SYSTEM_NAMESPACE, "labels": labels(name, sort)}


SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def container(arguments: list[str], memory: str, cpu: str, environment: dict[str, str], ready: str) -> Manifest:
    return {
        "name": "chandlery",
        "image": IMAGE,
        "args": arguments,
        "envFrom": [{"configMapRef": {"name": "chandlery"}}],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [{"containerPort": PORT, "name": "http1"}],  # Serving's word for HTTP/1
        "resources": {
            "requests": {"cpu": cpu, "memory": memory},
            "limits": {"memory": memory},
        },
        "readinessProbe": {"httpGet": {"path": ready, "port": PORT}, "periodSeconds": 5},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 20, "failureThreshold": 6},
        "securityContext": SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def scratch(size: str) -> Manifest:
    return {"name": "tmp", "emptyDir": {"sizeLimit": size}}


def function_pod(function: str) -> Manifest:
    """What both ways of serving it have in common."""
    found = workload(function)
    environment = {"CHANDLERY_AT_ONCE": str(found.at_once)}
    arguments = ["shared.serve", function, "--host=0.0.0.0", f"--grace={found.timeout}"]
    if CERTIFICATES in found.needs:
        environment["CHANDLERY_CONVERSION_CA"] = f"/etc/chandlery/{CERTIFICATES}/ca.crt"
    one = container(arguments, found.memory, found.cpu, environment, "/healthz")
    one["volumeMounts"] += [
        {"name": name, "mountPath": f"/etc/chandlery/{name}", "readOnly": True} for name in found.needs
    ]
    wanted = [
        {"name": name, "secret": {"secretName": name, "items": [{"key": file, "path": file}]}}
        for name, file in found.needs.items()
    ]
    return {
        "serviceAccountName": kebab(function),
        "enableServiceLinks": False,
        "containers": [one],
        "volumes": [scratch(found.scratch), *wanted],
    }


def knative_service(function: str) -> Manifest:
    found, name = workload(function), kebab(function)
    scale = {"autoscaling.knative.dev/min-scale": "0", "autoscaling.knative.dev/max-scale": str(found.most)}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            **metadata(name, "function"),
            # Nobody outside the cluster has anything to say to a function.
            "labels": {**labels(name, "function"), "networking.knative.dev/visibility": "cluster-local"},
        },
        "spec": {
            "template": {
                "metadata": {"labels": labels(name, "function"), "annotations": scale},
                "spec": {
                    **function_pod(function),
                    "containerConcurrency": found.at_once,
                    "timeoutSeconds": found.timeout,
                },
            }
        },
    }


def deployment(name: str, sort: str, pods: int, grace: int, pod: Manifest) -> Manifest:
    """No pod goes before the next one is there; one that goes finishes what it has in hand."""
    for one in pod["containers"]:
        one["lifecycle"] = {"preStop": {"sleep": {"seconds": DRAIN}}}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {"app.kubernetes.io/name": name}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, sort),
        "spec": {
            "replicas": pods,
            "selector": {"matchLabels": {**LABELS, "app.kubernetes.io/name": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels(name, sort)},
                "spec": {
                    **pod,
                    "terminationGracePeriodSeconds": grace + DRAIN + 5,
                    **({"topologySpreadConstraints": [spread]} if pods > 1 else {}),
                },
            },
        },
    }


def function_deployment(function: str) -> Manifest:
    found = workload(function)
    pod = function_pod(function)
    if function in WEBHOOKS:
        secure(pod)
    return deployment(kebab(function), component(function), found.pods, found.timeout, pod)


def secure(pod: Manifest) -> None:
    """HTTPS beside HTTP, with certificates that the pod makes when there are none (knative/certificates.py)."""
    one = pod["containers"][0]
    folder = f"/etc/chandlery/{CERTIFICATES}"
    one["args"] += [f"--tls-port={TLS_PORT}", f"--tls-cert={folder}/tls.crt", f"--tls-key={folder}/tls.key"]
    one["ports"].append({"containerPort": TLS_PORT, "name": "https"})
    one["volumeMounts"].append({"name": "certificates", "mountPath": folder, "readOnly": True})
    pod["volumes"].append({"name": "certificates", "emptyDir": {"sizeLimit": "1Mi", "medium": "Memory"}})
    made = container(["knative.certificates"], "128Mi", "25m", {}, "/healthz")
    kept = ("image", "args", "envFrom", "resources", "securityContext")
    mounts = [*made["volumeMounts"], {"name": "certificates", "mountPath": folder}]
    pod["initContainers"] = [{"name": "certificates", **{part: made[part] for part in kept}, "volumeMounts": mounts}]


def source_deployment(name: str, source: Source) -> Manifest:
    arguments = [source.module, *source.arguments, "--host=0.0.0.0"]
    one = container(arguments, source.memory, source.cpu, {}, "/readyz")
    pod = {
        "serviceAccountName": name,
        "enableServiceLinks": False,
        "containers": [one],
        "volumes": [scratch(Workload().scratch)],
    }
    found = deployment(name, "source", source.pods, 10, pod)
    found["metadata"]["labels"]["bindings.knative.dev/include"] = "true"  # for Knatives that bind only what asks for it
    return found


def sink_binding(name: str, source: Source) -> Manifest:
    where = {"namespace": SYSTEM_NAMESPACE}  # said, so that nothing hangs on Knative's webhook that would fill it in
    broker = {"apiVersion": "eventing.knative.dev/v1", "kind": "Broker", "name": source.broker}
    return {
        "apiVersion": "sources.knative.dev/v1",
        "kind": "SinkBinding",
        "metadata": metadata(name, "source"),
        "spec": {
            "subject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name} | where,
            "sink": {"ref": broker | where},
        },
    }


def budget(name: str, sort: str) -> Manifest:
    """A drain of nodes leaves one of them. Of what has one pod, none: it would keep a node from ever being drained."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, sort),
        "spec": {
            "minAvailable": 1,
            "selector": {"matchLabels": {**LABELS, "app.kubernetes.io/name": name}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def sources() -> list[Manifest]:
    found = [
        each
        for name, source in SOURCES.items()
        for each in (source_deployment(name, source), sink_binding(name, source))
    ]
    return [*found, *[budget(name, "source") for name, source in SOURCES.items() if source.pods > 1]]


def always(functions: list[str]) -> list[Manifest]:
    """Deployments of those that are no Knative Services in any overlay."""
    stay = [each for each in functions if not scales(each)]
    several = [each for each in stay if workload(each).pods > 1]
    return [*[function_deployment(each) for each in stay], *[budget(kebab(each), component(each)) for each in several]]
