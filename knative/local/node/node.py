"""The node, up and down: beside a stack, which it starts, and through whose API server it is reached."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from typing import Any

from knative.local.build import build
from knative.local.credentials import issue
from knative.local.node import configuration, images, machine, processes
from knative.local.node.place import NAME, Place, layout_of
from knative.local.node.requirements import missing
from knative.local.stack import Stack
from knative.local.supervision import Supervisor
from knative.local.tools import NODE_MODULES, Tools
from knative.local.waiting import StackError, say, wait

READY = '{.status.conditions[?(@.type=="Ready")].status}'
LIMIT = 60.0


class Node:
    def __init__(self, stack: Stack, reached: tuple[str, ...] = ()) -> None:
        self.stack = stack
        self._reached = reached
        self.supervisor = Supervisor(layout_of(stack.layout))

    def up(self) -> None:
        """Idempotent: a node that is Ready is left alone, whatever else there is of one is undone and made anew."""
        if reason := missing():
            raise StackError(reason)
        tools = build(NODE_MODULES)
        self.stack.up()
        if self.supervisor.alive() and self.ready():
            say(f"{NAME} is Ready")
            return
        machine.give_back(self.stack.layout)
        started = time.monotonic()
        self._start(machine.claim(self.stack.layout), tools)
        say(f"{NAME} is Ready after {time.monotonic() - started:.1f} s")

    def down(self) -> None:
        """The stack goes on without it; what ran on it waits for another."""
        was = machine.claimed(self.stack.layout)
        machine.give_back(self.stack.layout)
        if was and self.stack.supervisor.alive():
            here = f"--field-selector=spec.nodeName={NAME}"
            self._kubectl("delete", "node", NAME, "--ignore-not-found", "--wait=false")
            self._kubectl("delete", "pods", "--all-namespaces", here, "--force", "--wait=false")
            made = configuration.objects(was)
            self._kubectl("delete", "--ignore-not-found", "--wait=false", "--filename=-", given=made)

    def status(self) -> list[dict[str, Any]]:
        return self.supervisor.info() if self.supervisor.alive() else []

    def ready(self) -> bool:
        return self._kubectl("get", "node", NAME, "--ignore-not-found", f"--output=jsonpath={READY}") == "True"

    def _start(self, place: Place, tools: Tools) -> None:
        machine.take(place)
        self._configure(place)
        self.supervisor.configure(processes.table(place, tools, self._reached))
        self.supervisor.launch(*machine.alone())
        self._kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", given=configuration.objects(place))
        self.supervisor.start("relay", "containerd", "volumes")
        self._wait("containerd", lambda: _succeeds("ctr", f"--address={place.containerd}", "version"))
        self._import(place, tools)
        self.supervisor.start("coredns", "kubelet", "kube-proxy")
        self._wait("kubelet", self.ready)

    def _configure(self, place: Place) -> None:
        if not (place.certificates / "kubelet-client.crt").exists():
            raise StackError(f"the stack in {place.stack.home} is older than real nodes: `make down` it first")
        run = place.layout.run
        for directory in (run / "cni", place.layout.logs, place.volumes):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        issue(place.certificates, "kubelet", f"system:node:{NAME}", "system:nodes", addresses=[place.address])
        issue(place.certificates, "kube-proxy", "system:kube-proxy")
        issue(place.certificates, "coredns", configuration.DNS)
        for name in ("kubelet", "kube-proxy", "coredns"):
            (run / f"{name}.kubeconfig").write_text(json.dumps(configuration.kubeconfig(place, name)))
        (run / "resolv.conf").touch()
        (run / "Corefile").write_text(configuration.corefile(place))
        (run / "containerd.toml").write_text(configuration.containerd(place))
        (run / "cni/pods.conflist").write_text(json.dumps(configuration.network(place)))
        (run / "kubelet.json").write_text(json.dumps(configuration.kubelet(place)))
        proxy = configuration.proxy(place, str(run / "kube-proxy.kubeconfig"))
        (run / "kube-proxy.json").write_text(json.dumps(proxy))

    def _import(self, place: Place, tools: Tools) -> None:
        file = place.layout.run / "image.tar"
        for image, command in {images.LOAD: [], images.PAUSE: ["pause"]}.items():
            file.write_bytes(images.archive(image, tools.programs["load"], *command))
            _run(processes.importing(place, file))
        file.unlink()

    def _wait(self, name: str, check: Callable[[], bool]) -> None:
        log = self.supervisor.layout.log(name)
        wait(name, check, limit=LIMIT, log=log, state=lambda: self.supervisor.state(name))

    def _kubectl(self, *arguments: str, given: object = None) -> str:
        layout = self.stack.layout
        environment = {**os.environ, "KUBECONFIG": str(layout.kubeconfig)}
        return _run([str(layout.bin / "kubectl"), *arguments], environment, json.dumps(given))


def _run(command: list[str], environment: dict[str, str] | None = None, given: str = "") -> str:
    done = subprocess.run(
        command, env=environment, input=given, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode:
        raise StackError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return done.stdout


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
