"""What a node takes of the machine, and giving it back: a number, a network namespace, a cgroup, kernel settings.

Mounts need no undoing: they are made in a mount namespace that ends with the last process in it. Everything here is
found again from the claim alone, so that a node whose processes were killed is undone like any other.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from knative.local.layout import Layout
from knative.local.node.place import Place, layout_of
from knative.local.supervision import leftovers
from knative.local.waiting import StackError

CLAIMS = Path("/run/chandlery/nodes")
"""A file a node, named by its number, that says where the node's files are."""
SYSCTLS = CLAIMS.parent / "sysctls.json"
NUMBERS = range(1, 251)
CGROUPS = Path("/sys/fs/cgroup")
KERNEL = Path("/proc/sys")
SETTINGS = (  # that a kubelet changes for the whole machine
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
NAMESPACES = Path("/run/netns")
ROUTING = ("net/ipv4/ip_forward", "net/bridge/bridge-nf-call-iptables")
"""Of the node's own network: between its pods, also by way of a Service."""
COVERED = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")
"""Where containerd and the kubelet write whatever they are told; the node sees an empty file system there."""
LIMIT = 20.0


def claim(stack: Layout) -> Place:
    """A number nobody else has. The claim appears whole or not at all."""
    home = layout_of(stack).home
    CLAIMS.mkdir(parents=True, exist_ok=True)
    draft = CLAIMS.parent / f"draft-{os.getpid()}"
    draft.write_text(str(home))
    try:
        for number in NUMBERS:
            with contextlib.suppress(FileExistsError):
                (CLAIMS / str(number)).hardlink_to(draft)
                return Place(layout_of(stack), stack, number)
    finally:
        draft.unlink()
    raise StackError(f"all {len(NUMBERS)} numbers of nodes are taken; {CLAIMS} says by whom")


def claimed(stack: Layout) -> Place | None:
    return next(_claims(stack), None)


def take(place: Place) -> None:
    """Namespace and link, cgroups, and a note of the kernel's settings as they were."""
    if not SYSCTLS.exists():
        draft = SYSCTLS.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps({name: (KERNEL / name).read_text().strip() for name in SETTINGS}))
        draft.rename(SYSCTLS)
    for directory in COVERED:
        Path(directory).mkdir(parents=True, exist_ok=True)
    _make_cgroups(place.name)
    _make_network(place)


def give_back(stack: Layout) -> None:
    """Idempotent: also of a node half made, or half undone."""
    for place in list(_claims(stack)):
        _end_processes(place)
        for cgroup in _cgroups(place.name):
            _remove_cgroup(cgroup)
        for what in ("netns", "link"):  # the link ends with the namespace, if it came that far
            subprocess.run(["ip", what, "del", place.name], capture_output=True, check=False)
        shutil.rmtree(place.layout.home, ignore_errors=True)
        if [path.name for path in CLAIMS.iterdir()] == [str(place.number)]:
            _restore_kernel()
        (CLAIMS / str(place.number)).unlink(missing_ok=True)


def inside(place: Place) -> list[str]:
    """Prefix of a command that runs in the node's network; `ip netns exec` would hide the cgroups."""
    return ["nsenter", f"--net=/run/netns/{place.name}"]


def alone() -> list[str]:
    """Prefix of a command whose mounts, and those of its children, are seen by nobody else."""
    covers = " && ".join(f"mount -t tmpfs tmpfs {directory}" for directory in COVERED)
    return ["unshare", "--mount", "--propagation=slave", "sh", "-c", f'{covers} && exec "$@"', "sh"]


def _claims(stack: Layout) -> Iterator[Place]:
    home = layout_of(stack).home
    for path in sorted(CLAIMS.glob("[0-9]*")):
        if path.read_text() == str(home):
            yield Place(layout_of(stack), stack, int(path.name))


def _make_network(place: Place) -> None:
    """One link to the machine and no default route: nothing in there reaches further than the machine."""
    name = place.name
    _ip("netns", "add", name)
    _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
    _ip("addr", "add", f"{place.gateway}/30", "dev", name)
    _ip("link", "set", name, "up")
    _ip("-n", name, "addr", "add", f"{place.address}/30", "dev", "eth0")
    for link in ("eth0", "lo"):
        _ip("-n", name, "link", "set", link, "up")
    _ip("route", "add", place.pods, "via", place.address, "dev", name)
    for path in (KERNEL / name for name in ROUTING):
        if path.exists():
            _run(*inside(place), "sh", "-c", f"echo 1 > {path}")


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


def _hierarchies() -> list[Path]:
    """The one of cgroup v2, or each of v1's."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _make_cgroups(name: str) -> None:
    for hierarchy in _hierarchies():
        cgroup = hierarchy / name
        cgroup.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):  # v1 starts with none of them
            if hierarchy != CGROUPS and (cgroup / setting).exists():
                (cgroup / setting).write_text((hierarchy / setting).read_text())


def _cgroups(name: str) -> list[Path]:
    return [hierarchy / name for hierarchy in _hierarchies() if (hierarchy / name).exists()]


def _end_processes(place: Place) -> None:
    """Those that carry the node's mark, and the pods' own, which are known by their cgroup."""
    end = time.monotonic() + LIMIT
    while left := {*leftovers(place.layout.home), *_members(place.name)}:
        if time.monotonic() > end:
            raise StackError(f"processes of {place.name} do not end: {sorted(left)}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def _members(name: str) -> set[int]:
    found: set[int] = set()
    for cgroup in _cgroups(name):
        for path in [*cgroup.rglob("cgroup.procs")]:
            with contextlib.suppress(OSError):
                found.update(map(int, path.read_text().split()))
    return found


def _remove_cgroup(cgroup: Path) -> None:
    """From the leaves up; one whose last process has just ended is busy for a moment."""
    end = time.monotonic() + LIMIT
    while cgroup.exists():
        for path in sorted((path for path in cgroup.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        with contextlib.suppress(OSError):
            cgroup.rmdir()
            return
        if time.monotonic() > end:
            raise StackError(f"{cgroup} cannot be removed; see {cgroup}/cgroup.procs")
        time.sleep(0.1)


def _restore_kernel() -> None:
    if SYSCTLS.exists():
        for name, value in json.loads(SYSCTLS.read_text()).items():
            (KERNEL / name).write_text(value)
        SYSCTLS.unlink()
    if not [*NAMESPACES.glob("*")]:  # `ip` mounts it for the first namespace
        subprocess.run(["umount", str(NAMESPACES)], capture_output=True, check=False)
    for directory in COVERED:
        with contextlib.suppress(OSError):  # somebody else's files are in it
            Path(directory).rmdir()
