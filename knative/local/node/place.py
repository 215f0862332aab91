"""Where one node is: its files, and its number, from which the names and addresses it takes on the machine follow."""

from dataclasses import dataclass
from pathlib import Path

from knative.local.layout import Layout

NAME = "node-1"
STORAGE_CLASS = "node-local"


@dataclass(frozen=True)
class Place:
    layout: Layout
    """Its own: files and logs are kept as those of a stack are."""
    stack: Layout
    number: int

    @property
    def name(self) -> str:
        """Of its network namespace, its cgroup, and its link on the machine's side."""
        return f"chandlery-{self.number}"

    # 198.18.0.0/15 is set aside for tests of networks (RFC 2544): nobody is reached there.

    @property
    def gateway(self) -> str:
        return f"198.18.{self.number}.1"

    @property
    def address(self) -> str:
        return f"198.18.{self.number}.2"

    @property
    def pods(self) -> str:
        return f"198.19.{self.number}.0/24"

    @property
    def containerd(self) -> Path:
        return self.layout.run / "containerd.sock"

    @property
    def certificates(self) -> Path:
        return self.stack.certificates

    @property
    def volumes(self) -> Path:
        return self.layout.home / "volumes"


def layout_of(stack: Layout) -> Layout:
    return Layout(stack.home / "node", stack.base)
