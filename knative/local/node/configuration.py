"""What containerd, the kubelet and kube-proxy are told, and what the cluster must know of the node. No I/O."""

from typing import Any

from knative.local.credentials import KUBELET_CLIENT
from knative.local.node.images import PAUSE
from knative.local.node.place import NAME, STORAGE_CLASS, Place
from knative.local.node.requirements import PLUGINS
from knative.local.processes import REAL_NODE

Config = dict[str, Any]

KUBELET_PORT = 10250
DOMAIN = "cluster.local"
DNS = "system:coredns"
PROVISIONER = "chandlery.dev/node-local"


def containerd(place: Place) -> str:
    home, run = place.layout.home, place.layout.run
    return f"""version = 2
root = "{home / "containerd"}"
state = "{run / "containerd"}"
[grpc]
  address = "{place.containerd}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{home / "opt"}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  # Where a machine may not lower a score (CAP_SYS_RESOURCE), runc fails with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  stats_collect_period = 5
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{run / "cni"}"
"""


def network(place: Place) -> Config:
    addresses = {
        "type": "host-local",
        "dataDir": str(place.layout.run / "addresses"),
        "ranges": [[{"subnet": place.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": place.name, "plugins": [bridge]}


def kubelet(place: Place) -> Config:
    certificates, home = place.certificates, place.layout.home
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{place.containerd}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{place.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "address": place.address,
        "port": KUBELET_PORT,
        "healthzPort": 0,
        "tlsCertFile": str(certificates / "kubelet.crt"),
        "tlsPrivateKeyFile": str(certificates / "kubelet.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "registerWithTaints": [{"key": REAL_NODE, "effect": "NoSchedule"}],
        "nodeStatusUpdateFrequency": "5s",
        "volumeStatsAggPeriod": "10s",
        "imageMinimumGCAge": "24h",  # what is imported cannot be pulled again
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "podLogsDir": str(home / "pods"),
        "volumePluginDir": str(home / "plugins"),
        "clusterDNS": [place.address],
        "clusterDomain": DOMAIN,
        "resolvConf": str(place.layout.run / "resolv.conf"),
        "makeIPTablesUtilChains": False,
    }


def corefile(place: Place) -> str:
    """Names of the cluster, and of nothing else: pods here reach nothing else either."""
    return f""".:53 {{
  bind {place.address}
  errors
  kubernetes {DOMAIN} {{
    kubeconfig {place.layout.run / "coredns.kubeconfig"}
  }}
}}
"""


def proxy(place: Place, kubeconfig: str) -> Config:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NAME,
        "clusterCIDR": place.pods,
        "bindAddress": place.address,
        "healthzBindAddress": f"{place.address}:10256",
        "metricsBindAddress": f"{place.address}:10249",
        "clientConnection": {"kubeconfig": kubeconfig},
        "conntrack": {"maxPerCore": 0, "min": 0},  # a limit of the whole machine, and not ours
    }


def kubeconfig(place: Place, name: str) -> Config:
    """From inside: the API server is at the gateway, under a name its certificate has."""
    certificates = place.certificates
    cluster = {
        "server": f"https://{place.gateway}:{place.stack.port('apiserver')}",
        "tls-server-name": "kubernetes",
        "certificate-authority": str(certificates / "ca.crt"),
    }
    user = {"client-certificate": str(certificates / f"{name}.crt"), "client-key": str(certificates / f"{name}.key")}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "chandlery", "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "chandlery", "context": {"cluster": "chandlery", "user": name}}],
        "current-context": "chandlery",
    }


def objects(place: Place) -> Config:
    """Who may ask the kubelet, what DNS may see, which volumes there are, and where pods find the API server."""
    rbac = "rbac.authorization.k8s.io"
    kinds = {"": ["endpoints", "services", "pods", "namespaces"], "discovery.k8s.io": ["endpointslices"]}
    rules = [{"apiGroups": [group], "resources": names, "verbs": ["list", "watch"]} for group, names in kinds.items()]
    labels = {REAL_NODE: "", "kubernetes.io/service-name": "kubernetes"}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": f"chandlery:{KUBELET_CLIENT}"},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:kubelet-api-admin"},
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": KUBELET_CLIENT}],
            },
            {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": DNS}, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": DNS},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": DNS},
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": DNS}],
            },
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": STORAGE_CLASS},
                "provisioner": PROVISIONER,
                "volumeBindingMode": "WaitForFirstConsumer",
                "reclaimPolicy": "Delete",
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [place.gateway], "conditions": {"ready": True}}],
                "ports": [{"name": "https", "port": place.stack.port("apiserver"), "protocol": "TCP"}],
            },
        ],
    }
