"""What a machine must have for a real node, and what to do where it has not."""

import os
import shutil
import subprocess

PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}
PLUGINS = "/usr/lib/cni"
PLUGINS_PACKAGE = "containernetworking-plugins"


def missing() -> str | None:
    """Why this machine cannot have a real node, or None."""
    if os.geteuid() != 0:
        return "a real node needs root: it makes namespaces, cgroups and mounts"
    packages = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    if not shutil.which("bridge", path=PLUGINS):
        packages.add(PLUGINS_PACKAGE)
    if packages:
        return f"a real node needs programs this machine lacks: apt-get install -y {' '.join(sorted(packages))}"
    tried = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"a real node needs the right to make namespaces: {tried.stderr.strip()}"
    return None
