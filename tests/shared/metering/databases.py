"""Databases for tests: SQLite in a file, and a PostgreSQL of our own from Debian's packages."""

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

PATIENCE = 60.0
NOBODY = 65534


def programs() -> Path | None:
    """Where PostgreSQL's server programs are; Debian keeps them off PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def not_as_root() -> list[str]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


@dataclass
class Postgres:
    """On a unix socket only: no port to be taken by somebody else."""

    programs: Path
    folder: Path
    fsync: bool = True
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def make(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self.run("initdb", "-D", str(self.data), "-U", "ledger", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    def run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [*not_as_root(), str(self.programs / program), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self) -> None:
        command = [str(self.programs / "postgres"), "-D", str(self.data), "-k", str(self.folder)]
        settings = {"listen_addresses": "", "fsync": "on" if self.fsync else "off", "shared_buffers": "256MB"}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*not_as_root(), *command, *(f"--{name}={value}" for name, value in settings.items())],
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
                stdout=log,
                stderr=log,
            )
        self._wait()

    def _wait(self) -> None:
        limit = time.monotonic() + PATIENCE
        while time.monotonic() < limit:
            try:
                self.run("psql", "-h", str(self.folder), "-U", "ledger", "-c", "SELECT 1", "postgres")
            except RuntimeError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: no waiting for clients. SIGKILL: the servers that it started notice and end by themselves."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"ledger{uuid4().hex}"
        self.run("createdb", "-h", str(self.folder), "-U", "ledger", name)
        return f"postgresql+asyncpg://ledger@/{name}?host={self.folder}"
