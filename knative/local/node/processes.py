"""Every process of a node, under a supervisor of its own."""

import sys
from pathlib import Path

from knative.local.node.machine import inside
from knative.local.node.place import NAME, Place
from knative.local.processes import REAL_NODE, Process
from knative.local.tools import Tools


def table(place: Place, tools: Tools, reached: tuple[str, ...] = ()) -> list[Process]:
    """Besides the API server its pods reach those of the stack's ports that are `reached`."""
    run, home = place.layout.run, place.layout.home
    module, ports = [sys.executable, "-m"], [str(place.stack.port(name)) for name in ("apiserver", *reached)]
    kubelet = [
        tools["kubelet"],
        f"--config={run / 'kubelet.json'}",
        f"--kubeconfig={run / 'kubelet.kubeconfig'}",
        f"--root-dir={home / 'kubelet'}",
        f"--cert-dir={run}",
        f"--hostname-override={NAME}",
        f"--node-ip={place.address}",
        f"--node-labels={REAL_NODE}=",
        "--housekeeping-interval=5s",
        f"--containerd={place.containerd}",  # without it there are no network figures, and nothing else looks wrong
    ]
    proxy = [tools["kube-proxy"], f"--config={run / 'kube-proxy.json'}"]
    volumes = ["knative.local.node.volumes", str(place.stack.kubeconfig), str(place.volumes)]
    return [
        Process("relay", [*module, "knative.local.node.relay", place.gateway, *ports]),
        Process("containerd", [*inside(place), "containerd", f"--config={run / 'containerd.toml'}"]),
        Process("coredns", [*inside(place), tools["coredns"], f"-conf={run / 'Corefile'}"]),
        Process("kubelet", [*inside(place), *kubelet]),
        Process("kube-proxy", [*inside(place), *proxy]),
        Process("volumes", [*module, *volumes]),
    ]


def importing(place: Place, archive: Path) -> list[str]:
    return ["ctr", f"--address={place.containerd}", "--namespace=k8s.io", "images", "import", str(archive)]
