"""supervisor keeps the processes alive; this writes its configuration and talks to it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from supervisor.xmlrpc import Faults, SupervisorTransport

from knative.local.credentials import write_private
from knative.local.layout import REPOSITORY, Layout
from knative.local.processes import Process

MARK = "CHANDLERY_LOCAL"  # in the environment of every process of a stack, so that none is ever left behind
SOCKET_LIMIT = 100
OPTIONS = {
    "autostart": "false",
    "autorestart": "true",
    "startsecs": "1",
    "startretries": "30",
    "stopwaitsecs": "5",
    "stopasgroup": "true",
    "killasgroup": "true",
    "redirect_stderr": "true",
    "stdout_logfile_maxbytes": "50MB",
    "stdout_logfile_backups": "1",
}


class Supervisor:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def configure(self, processes: list[Process]) -> None:
        if len(str(self.layout.socket)) > SOCKET_LIMIT:
            raise SystemExit(f"{self.layout.socket} is too long for a Unix socket; choose a shorter LOCAL=dir")
        sections = [_daemon(self.layout), *(_program(self.layout, process) for process in processes)]
        write_private(self.layout.run / "supervisor.ini", "\n\n".join(sections) + "\n")

    def launch(self, *prefix: str) -> None:
        """`prefix`: a command that runs it, say in namespaces of its own."""
        supervisord = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.layout.run / "supervisor.ini")]
        command = [*prefix, *supervisord]
        environment = {**os.environ, MARK: str(self.layout.home)}
        log = self.layout.log("supervisor-start")
        with log.open("wb") as output:
            subprocess.run(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, check=False)
        _until(self.alive, 15, f"supervisor does not answer; see {log}")

    def alive(self) -> bool:
        try:
            self._call("getState")
        except (OSError, xmlrpc.client.Error):
            return False
        return True

    def start(self, *names: str) -> None:
        """Returns at once; a process that runs already is left alone."""
        for name in names:
            with _allowed(Faults.ALREADY_STARTED):
                self._call("startProcess", name, False)

    def stop(self, name: str) -> None:
        with _allowed(Faults.NOT_RUNNING):
            self._call("stopProcess", name)

    def signal(self, name: str, signal_name: str) -> None:
        self._call("signalProcess", name, signal_name)

    def pid(self, name: str) -> int:
        return int(self._call("getProcessInfo", name)["pid"])

    def info(self) -> list[dict[str, Any]]:
        return cast(list[dict[str, Any]], self._call("getAllProcessInfo"))

    def state(self, name: str) -> str:
        return str(self._call("getProcessInfo", name)["statename"])

    def shutdown(self) -> None:
        """Ends everything, and whatever a dead supervisor left."""
        if self.alive():
            for info in self.info():
                # All at once: one after the other, each would wait for the one before.
                with contextlib.suppress(xmlrpc.client.Fault):
                    self._call("stopProcess", info["name"], False)
            with contextlib.suppress(OSError, xmlrpc.client.Error):
                self._call("shutdown")
            with contextlib.suppress(TimeoutError):
                _until(lambda: not self.alive() and not leftovers(self.layout.home), 15, "")
        left = leftovers(self.layout.home)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _until(lambda: all(map(_ended, left)), 10, "processes do not end")

    def _call(self, method: str, *arguments: object) -> Any:
        with contextlib.closing(SupervisorTransport(None, None, f"unix://{self.layout.socket}")) as transport:
            return getattr(xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor, method)(
                *arguments
            )


def leftovers(home: Path) -> list[int]:
    """Processes that carry the mark of this stack, ourselves excepted."""
    mark = f"{MARK}={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def _ended(pid: int) -> bool:
    """A zombie has closed its ports; before that, a dying process has lost its mark already."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def _daemon(layout: Layout) -> str:
    run = layout.run
    return "\n".join(
        [
            "[supervisord]",
            f"logfile={_escaped(layout.log('supervisor'))}",
            f"pidfile={_escaped(run / 'supervisor.pid')}",
            f"childlogdir={_escaped(layout.logs)}",
            f"directory={_escaped(REPOSITORY)}",
            "[unix_http_server]",
            f"file={_escaped(layout.socket)}",
            "chmod=0600",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
    )


def _program(layout: Layout, process: Process) -> str:
    environment = ",".join(f'{name}="{_escaped(value)}"' for name, value in process.environment.items())
    settings = {
        "command": " ".join(f'"{_escaped(part)}"' for part in process.command),
        "environment": environment,
        "stdout_logfile": _escaped(layout.log(process.name)),
        "stopsignal": process.stop,
        **OPTIONS,
    }
    return "\n".join([f"[program:{process.name}]", *(f"{name}={value}" for name, value in settings.items())])


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")


@contextlib.contextmanager
def _allowed(fault: int) -> Iterator[None]:
    try:
        yield
    except xmlrpc.client.Fault as error:
        if error.faultCode != fault:
            raise


def _until(check: Callable[[], bool], limit: float, message: str) -> None:
    end = time.monotonic() + limit
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(message)
        time.sleep(0.02)
