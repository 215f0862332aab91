"""The whole stack, up and down: real control plane, real Knative Eventing, NATS, and our own processes."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from knative.local import credentials, manifests, processes
from knative.local.build import build
from knative.local.layout import PORT, REPOSITORY, SOURCES, Layout
from knative.local.node import machine
from knative.local.supervision import Supervisor
from knative.local.tools import Tools
from knative.local.waiting import StackError, answers, free, listening, say, wait

OVERLAY = REPOSITORY / "knative/overlays/local"
CONTROLLERS = ("controller-manager", "scheduler", "kwok")
EVENTING = ("eventing", "ingress", "filter", "mtping")


class Stack:
    """What an earlier `up` in the same directory chose (ports, processes) holds until `down`."""

    def __init__(self, local: str | Path = ".local", port: int | None = None, *, each: bool = False) -> None:
        home = Path(local).absolute()
        self._choices = home / "run/choices.json"
        known = json.loads(self._choices.read_text()) if self._choices.exists() else {}
        self._conflict = port is not None and port != known.get("port", port)
        self.layout = Layout(home, known.get("port", port or PORT))
        self.each: bool = known.get("each", each)
        self.supervisor = Supervisor(self.layout)

    # The stack

    def up(self) -> None:
        """Idempotent: what runs is left alone, what is missing is started, what a dead supervisor left is replaced."""
        started = time.monotonic()
        if self._conflict:
            having = f"the stack in {self.layout.home} has PORT={self.layout.base}"
            raise StackError(f"{having}; `down` it first or choose another LOCAL=dir")
        functions = processes.function_processes(each=self.each)
        self.control_plane(*CONTROLLERS, *functions)
        self._apply_knative()
        self._start(*EVENTING)
        self._install()
        self._wait_eventing()
        self._wait_ready("brokers.eventing.knative.dev", "triggers.eventing.knative.dev")
        self._start(*SOURCES)
        for name in (*functions, *SOURCES):
            self._wait_port(name)
        self._wait_port(functions[0] if len(functions) == 1 else "convert-instances", "conversion")
        say(f"up in {time.monotonic() - started:.1f} s: export KUBECONFIG={self.layout.kubeconfig}")

    def control_plane(self, *more: str) -> None:
        """Only an API server with its etcd, and NATS: a cluster that nothing was installed in; and `more` processes."""
        self._prepare(build())
        self._start("etcd", "nats", "router")
        self._wait_port("etcd")
        self._start("apiserver")
        url, ca = f"https://{self.layout.address('apiserver')}/readyz", self.layout.certificates / "ca.crt"
        self._wait("apiserver", lambda: answers(url, ca))
        for name in ("nats", "router"):
            self._wait_port(name)
        self._start(*more)

    def knative(self) -> None:
        """A cluster with Knative Eventing, and nothing of ours."""
        self.control_plane(*CONTROLLERS)
        self._apply_knative()
        self._start(*EVENTING)
        self._wait_eventing()

    def down(self) -> None:
        """Stop everything and forget it; a real node beside it, too."""
        machine.give_back(self.layout)
        self.supervisor.shutdown()
        shutil.rmtree(self.layout.home, ignore_errors=True)

    def status(self) -> list[dict[str, Any]]:
        return self.supervisor.info() if self.supervisor.alive() else []

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What it prints."""
        environment = {**os.environ, "KUBECONFIG": str(self.layout.kubeconfig)}
        command = [str(self.layout.bin / "kubectl"), *arguments]
        done = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"kubectl {' '.join(arguments)} failed:\n{done.stderr.strip()}")
        return done.stdout

    # One process of it, for tests that break things

    def start(self, name: str) -> None:
        self.supervisor.start(name)

    def stop(self, name: str) -> None:
        self.supervisor.stop(name)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def signal(self, name: str, signal: str) -> None:
        """`signal("apiserver", "KILL")`: supervisor starts it again."""
        self.supervisor.signal(name, signal)

    def pid(self, name: str) -> int:
        return self.supervisor.pid(name)

    # The steps of up

    def _prepare(self, tools: Tools) -> None:
        if self.supervisor.alive():
            return
        layout = self.layout
        if layout.run.exists():
            self.supervisor.shutdown()  # a supervisor that died leaves its processes behind
        self._check_ports()
        for directory in (layout.home, layout.run, layout.bin, layout.logs):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._choices.write_text(json.dumps({"port": layout.base, "each": self.each}))
        credentials.create(layout)
        for name, path in tools.programs.items():
            link = layout.bin / name
            link.unlink(missing_ok=True)
            link.symlink_to(path)
        layout.nats.write_text(f"nats://{layout.address('nats')}\n")
        self._write_command()
        (layout.run / "routes").write_text(processes.routes(layout, each=self.each))
        self.supervisor.configure(processes.table(layout, tools, each=self.each))
        self.supervisor.launch()

    def _write_command(self) -> None:
        """`chandlery`, beside kubectl and helm."""
        command = self.layout.bin / "chandlery"
        paths = (self.layout.home, self.layout.kubeconfig, REPOSITORY, sys.executable)
        home, config, code, python = (shlex.quote(str(each)) for each in paths)
        ingress = f"http://{self.layout.address('ingress')}"
        command.write_text(
            f"#!/bin/sh\nexport LOCAL={home} KUBECONFIG=${{KUBECONFIG:-{config}}} PYTHONPATH={code}\n"
            f"export CHANDLERY_INGRESS=${{CHANDLERY_INGRESS:-{ingress}}}\n"
            f'exec {python} -P -m cli "$@"\n'
        )
        command.chmod(0o755)
        plugin = self.layout.bin / "kubectl-chandlery"  # what kubectl looks for
        plugin.unlink(missing_ok=True)
        plugin.symlink_to(command.name)

    def _check_ports(self) -> None:
        for name in processes.ports(each=self.each):
            port = self.layout.port(name)
            if not free(port):
                raise StackError(
                    f"port {port} ({name}) is taken; choose another range with PORT=n "
                    f"(n to n+99 are used, now n={self.layout.base})"
                )

    def _apply_knative(self) -> None:
        self._apply("Knative's manifests", "-f", str(manifests.rendered(build())))

    def _install(self) -> None:
        self._wait_kinds()
        self._apply("our manifests", "-k", str(OVERLAY))

    def _wait_kinds(self) -> None:
        self._wait_for("established", "crd")

    def _wait_eventing(self) -> None:
        for name, port in {"eventing": "dispatcher", "ingress": "ingress", "filter": "filter"}.items():
            self._wait_port(name, port)

    def _wait_ready(self, *kinds: str) -> None:
        for kind in kinds:
            self._wait_for("Ready", kind, "-n", "chandlery")

    def _wait_for(self, condition: str, kind: str, *where: str) -> None:
        with step(f"{kind.partition('.')[0]} {condition.lower()}"):
            self.kubectl("wait", f"--for=condition={condition}", kind, "--all", "--timeout=60s", *where)

    def _apply(self, what: str, *files: str) -> None:
        with step(what):
            self.kubectl("apply", "--server-side", "--validate=ignore", "--force-conflicts", *files)

    def _start(self, *names: str) -> None:
        self.supervisor.start(*names)

    def _wait_port(self, name: str, port: str = "") -> None:
        self._wait(name, lambda: listening(self.layout.port(port or name)))

    def _wait(self, name: str, check: Callable[[], bool]) -> None:
        log = self.layout.log(name)
        wait(name, check, limit=60, log=log, state=lambda: self.supervisor.state(name))


@contextmanager
def step(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    say(f"  {what} ({time.monotonic() - started:.1f} s)")
