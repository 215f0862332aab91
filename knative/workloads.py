"""What each function and source needs in a cluster: memory, time, how much at once. One table, and a default.

A function that stands in no line of it gets `Workload()`. Whatever is here becomes a Knative Service or a Deployment in
knative/components (knative/pods.py), both of the one image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FUNCTIONS = Path(__file__).parent.parent / "functions"


@dataclass(frozen=True)
class Workload:
    memory: str = "256Mi"
    """Asked for and not exceeded."""
    cpu: str = "25m"
    """Asked for. Not bounded: what nobody else wants is free, and a function that is throttled answers late."""
    at_once: int = 16
    """Events in hand in one pod, which bounds its memory: each costs what it reads, or a Helm process."""
    pods: int = 1
    """Where nothing scales them."""
    most: int = 3
    """Where Knative Serving scales them, from none."""
    timeout: int = 60
    """Seconds that one event may take. Also how long a pod that is stopped may finish what it has in hand."""
    scratch: str = "64Mi"
    """Of /tmp, the one place that can be written to."""
    needs: Mapping[str, str] = field(default_factory=dict)
    """Secrets of namespace chandlery to wait for, mounted at /etc/chandlery/NAME, and the one file wanted of each."""


CERTIFICATES = "conversion-certificates"

# Helm takes 60 to 80 MiB for charts like our examples (its garbage collector is put off); twice that is allowed for.
# An install may wait for hooks as long as the Offering lets it: up to 10 minutes, which is also the most that Knative
# Serving allows a request by default.
WORKLOADS: dict[str, Workload] = {
    "install_release": Workload(memory="2Gi", cpu="250m", at_once=8, most=4, timeout=600, scratch="1Gi"),
    "remove_release": Workload(memory="1Gi", cpu="100m", at_once=4, timeout=600, scratch="256Mi"),
    "register_chart": Workload(memory="768Mi", cpu="100m", at_once=4, timeout=300, scratch="1Gi"),
    "map_parameters": Workload(memory="768Mi", cpu="100m", at_once=1, most=2, timeout=600, scratch="1Gi"),
    "publish_api": Workload(memory="384Mi", timeout=120, scratch="1Gi", needs={CERTIFICATES: "ca.crt"}),
    "retire_offering": Workload(scratch="256Mi"),
    "resync": Workload(memory="512Mi", cpu="100m", at_once=1, most=1, timeout=120),
    "convert_instances": Workload(pods=2),
    "collect_usage": Workload(memory="384Mi", at_once=1, most=1, timeout=120),
    "close_windows": Workload(memory="384Mi", at_once=1, most=1, timeout=300),
}


@dataclass(frozen=True)
class Source:
    """A process that tells a Broker what happens; one works, the other one is its spare."""

    module: str
    arguments: tuple[str, ...]
    broker: str
    memory: str = "384Mi"
    cpu: str = "50m"
    pods: int = 2


SOURCES: dict[str, Source] = {
    "offerings-source": Source("knative.source", ("offerings",), "offerings"),
    "instances-source": Source("knative.source", ("instances",), "instances", memory="512Mi", cpu="100m"),
    "nats-source": Source("knative.nats_source", (), "requests", memory="256Mi"),
}


def workload(function: str) -> Workload:
    return WORKLOADS.get(function, Workload())


def keeps_ledger(function: str) -> bool:
    """Whether it opens the ledger, as what it imports says."""
    return "from shared.metering.ledger import" in (FUNCTIONS / f"{function}.py").read_text()
