"""Every process of the stack: its command, its environment, the port that says it is up. One table, no logic."""

import os
import sys
from dataclasses import dataclass, field

from knative.local.layout import REPOSITORY, SOURCES, Layout, function_names
from knative.local.tools import Tools

EVENTING_NAMESPACE = "knative-eventing"
REAL_NODE = "chandlery.dev/real-node"
"""The label and taint of a node that kwok keeps its hands off."""


@dataclass(frozen=True)
class Process:
    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop: str = "TERM"


def table(layout: Layout, tools: Tools, *, each: bool) -> list[Process]:
    return [*_control_plane(layout, tools), *_eventing(layout, tools), *_ours(layout, each=each)]


def ports(*, each: bool) -> list[str]:
    """Names of all ports that must be free before the start."""
    knative = ["dispatcher", "dispatcher-https", "ingress", "ingress-https", "filter", "filter-https"]
    own = function_names() if each else ["functions"]
    return ["apiserver", "etcd", "etcd-peer", "nats", "router", *knative, *own, "conversion", *SOURCES]


def function_processes(*, each: bool) -> list[str]:
    return [name.replace("_", "-") for name in function_names()] if each else ["functions"]


def routes(layout: Layout, *, each: bool) -> str:
    """What cluster DNS and kube-proxy would know."""
    lines = [
        f"broker-ingress.{EVENTING_NAMESPACE}.svc.cluster.local {layout.address('ingress')}",
        f"broker-filter.{EVENTING_NAMESPACE}.svc.cluster.local {layout.address('filter')}",
        f"*-kn-channel.*.svc.cluster.local {layout.address('dispatcher')}",
    ]
    for name in function_names():
        target = layout.address(name) if each else layout.address("functions")
        lines.append(f"{name.replace('_', '-')}.chandlery.svc.cluster.local {target}/{name}")
    return "\n".join(lines) + "\n"


def _control_plane(layout: Layout, tools: Tools) -> list[Process]:
    certificates, admin = layout.certificates, layout.kubeconfig
    ca, crt, key = (str(certificates / name) for name in ("ca.crt", "server.crt", "server.key"))
    etcd, peer = f"https://{layout.address('etcd')}", f"https://{layout.address('etcd-peer')}"
    stages = tools.shares["kwok"] / "kustomize/stage"
    return [
        Process(
            "etcd",
            [
                tools["etcd"],
                f"--data-dir={layout.run / 'etcd'}",
                "--unsafe-no-fsync",
                "--log-level=warn",
                *(f"--{kind}-client-urls={etcd}" for kind in ("listen", "advertise")),
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                *(f"--{who}{what}" for who in ("", "peer-") for what in (f"cert-file={crt}", f"key-file={key}")),
                *(f"--{who}{what}" for who in ("", "peer-") for what in (f"trusted-ca-file={ca}", "client-cert-auth")),
            ],
        ),
        Process(
            "apiserver",
            [
                tools["kube-apiserver"],
                f"--etcd-servers={etcd}",
                f"--etcd-cafile={ca}",
                f"--etcd-certfile={crt}",
                f"--etcd-keyfile={key}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--secure-port={layout.port('apiserver')}",
                f"--tls-cert-file={crt}",
                f"--tls-private-key-file={key}",
                f"--token-auth-file={layout.run / 'tokens.csv'}",
                # What a kubelet needs: it shows a certificate of the one authority, and asks for one.
                f"--client-ca-file={ca}",
                f"--kubelet-certificate-authority={ca}",
                f"--kubelet-client-certificate={certificates / 'kubelet-client.crt'}",
                f"--kubelet-client-key={certificates / 'kubelet-client.key'}",
                "--kubelet-preferred-address-types=InternalIP",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                f"--service-account-key-file={certificates / 'accounts.pub'}",
                f"--service-account-signing-key-file={certificates / 'accounts.key'}",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--allow-privileged=true",
                "--enable-aggregator-routing=true",
                "--max-requests-inflight=2000",
                "--max-mutating-requests-inflight=1000",
                "--profiling=false",
            ],
            {"HTTPS_PROXY": f"http://{layout.address('router')}"},  # to kubelets
            stop="KILL",  # it takes up to a minute to end by itself while watches are open
        ),
        Process(
            "controller-manager",
            [
                tools["kube-controller-manager"],
                f"--kubeconfig={admin}",
                "--secure-port=0",
                "--leader-elect=false",
                f"--root-ca-file={ca}",
                f"--service-account-private-key-file={certificates / 'accounts.key'}",
                "--kube-api-qps=1000",
                "--kube-api-burst=2000",
                *(f"--concurrent-{what}-syncs=20" for what in ("deployment", "replicaset", "namespace")),
                "--concurrent-serviceaccount-token-syncs=20",
                "--enable-hostpath-provisioner",  # for the volume claims of charts; nothing is ever written to them
            ],
            stop="KILL",
        ),
        Process(
            "scheduler",
            [
                tools["kube-scheduler"],
                f"--kubeconfig={admin}",
                "--secure-port=0",
                "--leader-elect=false",
                "--kube-api-qps=1000",
                "--kube-api-burst=2000",
            ],
            stop="KILL",
        ),
        Process(
            "kwok",
            [
                tools["kwok"],
                f"--kubeconfig={admin}",
                f"--manage-nodes-with-label-selector=!{REAL_NODE}",
                "--node-lease-duration-seconds=40",
                f"--config={stages / 'node/fast/node-initialize.yaml'}",
                f"--config={stages / 'node/heartbeat-with-lease/node-heartbeat-with-lease.yaml'}",
                *(f"--config={stages / f'pod/fast/pod-{what}.yaml'}" for what in ("ready", "complete", "delete")),
            ],
            stop="KILL",
        ),
        Process(
            "nats",
            [
                tools["nats-server"],
                "--addr=127.0.0.1",
                f"--port={layout.port('nats')}",
                "--jetstream",
                f"--store_dir={layout.run / 'nats'}",
            ],
        ),
        Process("router", [tools["router"], f"-listen={layout.address('router')}", f"-routes={layout.run / 'routes'}"]),
    ]


def _eventing(layout: Layout, tools: Tools) -> list[Process]:
    common = {
        "KUBECONFIG": str(layout.kubeconfig),
        "SYSTEM_NAMESPACE": EVENTING_NAMESPACE,
        "NAMESPACE": EVENTING_NAMESPACE,
        "CONFIG_LOGGING_NAME": "config-logging",
        "CONFIG_OBSERVABILITY_NAME": "config-observability",
        "METRICS_DOMAIN": "knative.dev/eventing",
        "PROFILING_PORT": "0",
        "KUBE_API_QPS": "200",
        "KUBE_API_BURST": "400",
        "MAX_IDLE_CONNS": "1000",
        "MAX_IDLE_CONNS_PER_HOST": "1000",
        **_proxied(layout),
        # A closed port: the OIDC look-up of https://kubernetes.default.svc fails at once instead of after 31 s of DNS.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
    images = dict.fromkeys(("APISERVER_RA_IMAGE", "AUTH_PROXY_IMAGE", "DISPATCHER_IMAGE"), "none")

    def knative(name: str, program: str, environment: dict[str, str]) -> Process:
        named = {"POD_NAME": name, "CONTAINER_NAME": name}
        # KILL, because they drain for 45 s on TERM.
        return Process(name, [tools[program]], {**common, **named, **environment}, stop="KILL")

    return [
        knative("eventing", "eventing", {**images, **_two_ports(layout, "DISPATCHER_PORT", "dispatcher")}),
        knative("ingress", "broker-ingress", _two_ports(layout, "INGRESS_PORT", "ingress")),
        knative("filter", "broker-filter", _two_ports(layout, "FILTER_PORT", "filter")),
        knative("mtping", "mtping", {"K_LOGGING_CONFIG": "", "K_SINK_TIMEOUT": "-1"}),
    ]


def _ours(layout: Layout, *, each: bool) -> list[Process]:
    python = [sys.executable, "-m"]
    common = {
        "NATS_URL": f"nats://{layout.address('nats')}",
        "PATH": f"{layout.bin}{os.pathsep}{os.environ['PATH']}",
        # Charts may be given as file:///path from the repository's root: nowhere but on one machine.
        "CHANDLERY_FILE_CHARTS": "1",
        "CHANDLERY_FILE_ROOT": str(REPOSITORY),
        "CHANDLERY_CONVERSION_URL": f"https://{layout.address('conversion')}/convert_instances",
        "CHANDLERY_LEDGER_URL": f"sqlite+aiosqlite:///{layout.ledger}",
        "CHANDLERY_CONVERSION_CA": str(layout.certificates / "ca.crt"),
        **_proxied(layout),
    }
    secure = [f"--tls-port={layout.port('conversion')}"]
    secure += [
        f"--tls-{what}={layout.certificates / f'server.{end}'}" for what, end in (("cert", "crt"), ("key", "key"))
    ]

    def ours(name: str, command: list[str], environment: dict[str, str] | None = None) -> Process:
        as_itself = {"KUBECONFIG": str(layout.kubeconfig_of(name))}
        return Process(name, [*python, *command], {**common, **as_itself, **(environment or {})})

    functions = [
        ours(
            name,
            [
                *("shared.serve", f"--port={layout.port(name)}"),
                *(secure if name in ("functions", "convert-instances") else []),
                *([name.replace("-", "_")] if each else []),
            ],
        )
        for name in function_processes(each=each)
    ]
    sources = [
        ours(
            name,
            ["knative.source", name.removesuffix("-source"), f"--port={layout.port(name)}"],
            {"K_SINK": f"http://{layout.address('ingress')}/chandlery/{name.removesuffix('-source')}"},
        )
        for name in SOURCES
        if name != "nats-source"
    ]
    nats = ours(
        "nats-source",
        ["knative.nats_source", f"--port={layout.port('nats-source')}"],
        {"K_SINK": f"http://{layout.address('ingress')}/chandlery/requests"},
    )
    return [*functions, *sources, nats]


def _proxied(layout: Layout) -> dict[str, str]:
    """Both spellings, because Go asks for one first and Python for the other."""
    router = f"http://{layout.address('router')}"
    return {
        "HTTP_PROXY": router,
        "http_proxy": router,
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def _two_ports(layout: Layout, variable: str, name: str) -> dict[str, str]:
    return {variable: str(layout.port(name)), f"{variable}_HTTPS": str(layout.port(f"{name}-https"))}
