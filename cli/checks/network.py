"""Whether NetworkPolicies do anything here. The API takes them everywhere; only the network plugin knows."""

from collections.abc import Iterable

from cli.checks.finding import Finding, limited, ok, unknown
from shared.cluster import Cluster, Object
from shared.resources import WORKLOADS

SUBJECT = "network"
DAEMON_SETS = next(each for each in WORKLOADS if each.kind == "DaemonSet")
ENFORCING = {
    "calico-node": "Calico",
    "canal": "Canal",
    "cilium": "Cilium",
    "anetd": "GKE Dataplane V2",
    "antrea-agent": "Antrea",
    "kube-router": "kube-router",
    "weave-net": "Weave Net",
    "ovnkube-node": "OVN-Kubernetes",
    "ovs-node": "OVN-Kubernetes",
    "kube-ovn-cni": "Kube-OVN",
    "azure-npm": "Azure Network Policy Manager",
}
PASSIVE = {"kube-flannel-ds": "Flannel", "kube-flannel": "Flannel"}
"""Alone, these let everything through."""
AGENTS = {"aws-eks-nodeagent": "the AWS VPC CNI's policy agent"}
"""Containers that come with a plugin that would do nothing without."""
PROOF = "ask whoever runs the network; Calico, Cilium and others enforce them, a plain bridge does not"


async def look(cluster: Cluster) -> list[Finding]:
    return [judged((await cluster.list(DAEMON_SETS))["items"])]


def judged(daemon_sets: Iterable[Object]) -> Finding:
    found = [*daemon_sets]
    names = [each["metadata"]["name"] for each in found]
    enforcing = sorted({plugin for name in names for known, plugin in ENFORCING.items() if is_named(name, known)})
    enforcing += sorted({AGENTS[each] for one in found for each in containers(one) if each in AGENTS})
    passive = sorted({plugin for name in names for known, plugin in PASSIVE.items() if is_named(name, known)})
    if enforcing:
        return ok(SUBJECT, f"{' and '.join(enforcing)}: NetworkPolicies are in force, as far as can be seen; {PROOF}")
    if passive:
        fix = "install a plugin that enforces them, such as Calico (Canal) or Cilium"
        return limited(SUBJECT, f"{' and '.join(passive)} ignores NetworkPolicies: instances are not isolated", fix)
    return unknown(SUBJECT, "not known: no network plugin was recognised, so NetworkPolicies may do nothing", PROOF)


def is_named(name: str, known: str) -> bool:
    return name == known or name.startswith(f"{known}-")


def containers(daemon_set: Object) -> list[str]:
    return [each["name"] for each in daemon_set["spec"]["template"]["spec"].get("containers") or ()]
