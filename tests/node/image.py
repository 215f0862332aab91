"""Our image without a registry: on a base of Debian's packages, as archives that containerd imports."""

import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from knative.local.layout import REPOSITORY
from knative.local.tools import cache

NAME = "chandlery.local/chandlery"
VERSIONS = ("1", "2")
BASE = "localhost/base"
PROGRAMS = ("buildah", "mmdebstrap")
RELEASE, PACKAGES = "bookworm", "python3,python3-venv,ca-certificates,util-linux"
CERTIFICATES, PIP = Path("/etc/ssl/certs"), Path("/etc/pip.conf")
"""Of the machine: it may have authorities, and an index, of its own."""


def archives(folder: Path, programs: list[str]) -> list[Path]:
    """One for each of VERSIONS; a later one differs in its environment only."""
    builder = Builder(folder)
    builder.base()
    given = REPOSITORY / ".image"
    given.mkdir(exist_ok=True)
    for program in programs:
        shutil.copy(program, given)
    secret = [f"--secret=id=pip,src={PIP}"] if PIP.exists() else []
    arguments = [f"--build-arg=BASE={BASE}", "--build-arg=HELM=given", f"--volume={CERTIFICATES}:{CERTIFICATES}:ro"]
    builder.run("build", "--layers=false", *arguments, *secret, f"--tag={NAME}:{VERSIONS[0]}", str(REPOSITORY))
    for version in VERSIONS[1:]:
        container = builder.run("from", f"{NAME}:{VERSIONS[0]}").strip()
        builder.run("config", f"--env=CHANDLERY_IMAGE_VERSION={version}", container)
        builder.run("commit", "--rm", container, f"{NAME}:{version}")
    return [builder.archive(version) for version in VERSIONS]


class Builder:
    """buildah, with its images in a folder where nobody else looks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}

    def run(self, *arguments: str) -> str:
        where = [f"--root={self._folder / 'store'}", f"--runroot={self._folder / 'run'}", "--storage-driver=vfs"]
        return _run("buildah", *where, *arguments, environment=self._environment)

    def base(self) -> None:
        context = self._folder / "base"
        context.mkdir()
        shutil.copy(debian(), context / "base.tar")
        (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        self.run("build", "--layers=false", f"--tag={BASE}", str(context))

    def archive(self, version: str) -> Path:
        file = self._folder / f"{version}.tar"
        self.run("push", f"{NAME}:{version}", f"docker-archive:{file}:{NAME}:{version}")
        return file


def debian() -> Path:
    """A root file system, kept beside the programs that were built."""
    kept = cache() / f"{RELEASE}.tar"
    with FileLock(kept.with_suffix(".lock")):
        if not kept.exists():
            draft = kept.with_name(f"draft-{kept.name}")
            _run("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", RELEASE, str(draft))
            draft.rename(kept)
    return kept


def missing() -> str | None:
    lacking = " ".join(program for program in PROGRAMS if not shutil.which(program))
    return f"building an image needs what this machine lacks: apt-get install -y {lacking}" if lacking else None


def _run(*command: str, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr[-3000:]}"
    return done.stdout
