"""Build the programs that are missing, from public Go modules, each set exactly once for all work trees of a user."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from knative.local import golang
from knative.local.tools import ENVIRONMENT, FLAGS, MODULES, Module, Tools, cache

TAIL = 30
NOTICE = 15.0  # seconds between signs of life where there is no terminal


class BuildError(Exception):
    """A tool could not be built; the message says which and shows why."""


def build(modules: tuple[Module, ...] = MODULES) -> Tools:
    """All programs, built if need be. Costs one `go env` when there is nothing to do."""
    go = golang.find()
    directories = {module.name: module.built(go.version) for module in modules}
    if not all(directory.exists() for directory in directories.values()):
        cache().mkdir(parents=True, exist_ok=True)
        with _alone():
            missing = [module for module in modules if not directories[module.name].exists()]
            if missing:  # what another build made meanwhile is not built again
                _build_missing(go, missing, len(modules))
    return Tools.of(directories)


@contextmanager
def _alone() -> Iterator[None]:
    lock = FileLock(cache() / "build.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say("another build is running; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build_missing(go: golang.Go, missing: list[Module], of: int) -> None:
    """Caches of Go's own live and die with this build: they take 7 GB, the programs 0.7."""
    scratch = cache() / "building"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed build left
    scratch.mkdir(parents=True)
    _say(f"building {len(missing)} of {of} tool sets with {go.version} into {cache() / 'tools'}")
    started = time.monotonic()
    try:
        for number, module in enumerate(missing, 1):
            _build_module(go, module, scratch, f"[{number}/{len(missing)}] {module.name}")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    _say(f"all tools built in {_duration(time.monotonic() - started)}")


def _build_module(go: golang.Go, module: Module, scratch: Path, title: str) -> None:
    started = time.monotonic()
    source, stage = scratch / f"{module.name}.source", scratch / module.name
    (stage / "bin").mkdir(parents=True)
    shutil.copytree(module.source, source)
    run = _Runner(go, module, source, scratch)
    if module.patched:
        _patch(run, module, source)
    packages = list(module.programs.values())
    total = len(run("list", "-deps", *packages).split())
    ldflags = f"-s -w {module.ldflags}".strip()
    run.showing(total, title, "build", "-v", *FLAGS, "-ldflags", ldflags, "-o", f"{stage / 'bin'}/", *packages)
    for name, package in module.programs.items():
        _rename(stage / "bin", package if package != "." else module.name, name)
    _keep_shared(run, module, stage)
    target = module.built(go.version)
    target.parent.mkdir(exist_ok=True)
    stage.rename(target)
    _say(f"{title}: {', '.join(module.programs)} in {_duration(time.monotonic() - started)}")


class _Runner:
    """The go command, in the module's directory, with its output in a log."""

    def __init__(self, go: golang.Go, module: Module, source: Path, scratch: Path) -> None:
        self.go, self.module, self.source = str(go.path), module, source
        self.log = cache() / "logs" / f"{module.name}.log"
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_text("")
        caches = {"GOCACHE": str(scratch / "gocache"), "GOMODCACHE": str(scratch / "gomodcache")}
        self.environment = {**os.environ, **ENVIRONMENT, **caches}

    def __call__(self, *arguments: str) -> str:
        with self.log.open("a") as log:
            done = subprocess.run(
                [self.go, *arguments],
                cwd=self.source,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                check=False,
            )
        self.check(done.returncode, arguments)
        return done.stdout

    def showing(self, total: int, title: str, *arguments: str) -> None:
        """Run with a count of the packages compiled; Go says one a line."""
        with self.log.open("a") as log:
            process = subprocess.Popen([self.go, *arguments], cwd=self.source, env=self.environment, stderr=log)
            try:
                _watch(process, self.log, total, title)
            except BaseException:
                process.kill()
                process.wait()
                raise
        self.check(process.returncode, arguments)

    def check(self, code: int, arguments: tuple[str, ...]) -> None:
        if code:
            # A line without a space is the name of a package compiled, not a complaint.
            complaints = [line for line in self.log.read_text(errors="replace").splitlines() if " " in line]
            tail = "\n  ".join(complaints[-TAIL:])
            what = f"building {self.module.name} failed (go {arguments[0]}, exit code {code})"
            raise BuildError(f"{what}; end of {self.log}:\n  {tail}")


def _watch(process: subprocess.Popen[bytes], log: Path, total: int, title: str) -> None:
    started = noticed = time.monotonic()
    terminal = sys.stderr.isatty()
    while process.poll() is None:
        time.sleep(0.2)
        now = time.monotonic()
        if not terminal and now - noticed < NOTICE:
            continue
        noticed = now
        line = f"{title}: {_compiled(log)} of at most {total} packages, {_duration(now - started)}"
        print(f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)
    if terminal:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _compiled(log: Path) -> int:
    return sum(not line.startswith(b"go: ") for line in log.read_bytes().splitlines())


def _patch(run: _Runner, module: Module, source: Path) -> None:
    """Go cannot patch a dependency, so a patched copy replaces it."""
    copy = source / "upstream"
    shutil.copytree(_downloaded(run, module.patched), copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    # The ceiling keeps git from finding a work tree around the cache, in which it would skip the files.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(source)}
    command = ["git", "apply", "--verbose", str(source / "upstream.patch")]
    applied = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if applied.returncode:
        raise BuildError(f"building {module.name}: its upstream.patch does not apply:\n  {applied.stderr}")
    run("mod", "edit", f"-replace={module.patched}=./upstream")


def _keep_shared(run: _Runner, module: Module, stage: Path) -> None:
    dependency, patterns = module.share
    if not dependency:
        return
    origin = _downloaded(run, dependency) if not module.patched else run.source / "upstream"
    for pattern in patterns:
        for path in origin.glob(pattern):
            kept = stage / "share" / path.relative_to(origin)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, kept)


def _downloaded(run: _Runner, dependency: str) -> Path:
    return Path(json.loads(run("mod", "download", "-json", dependency))["Dir"])


def _rename(directory: Path, package: str, name: str) -> None:
    """Go names a program by the last part of its package, unless that is a major version."""
    parts = [part for part in package.split("/") if part != "." and not (part[0] == "v" and part[1:].isdigit())]
    if parts[-1] != name:
        (directory / parts[-1]).rename(directory / name)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{seconds:.1f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
