"""What a machine must have for a real node, and what to do where it has not.

`python -m knative.local.node.requirements` prints the packages of Debian that are missing.
"""

import os
import shutil
import subprocess
from pathlib import Path

PLUGINS = "/usr/lib/cni"
PACKAGES = {  # program -> package
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    f"{PLUGINS}/bridge": "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
LOOP = Path("/dev/loop-control")


def missing() -> str | None:
    """Why this machine cannot have a real node, or None."""
    if os.geteuid() != 0:
        return "a real node needs root: it makes namespaces, cgroups and mounts"
    if lacking := packages():
        return f"a real node needs programs this machine lacks: apt-get install -y {' '.join(lacking)}"
    if not LOOP.exists():
        return f"a real node needs loop devices for its volumes, and there is no {LOOP}: modprobe loop"
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"a real node needs the right to make namespaces: {tried.stderr.strip()}"
    return None


def packages() -> list[str]:
    return sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})


if __name__ == "__main__":
    print(*packages())
