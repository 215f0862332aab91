"""`chandlery` as a person at a terminal types it."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from knative.local.layout import REPOSITORY
from knative.local.stack import Stack


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def typed(kubeconfig: Path | None, *arguments: str | Path, given: str | None = None, **more: str) -> Answer:
    """With nothing of this machine's own settings."""
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    settings = {"KUBECONFIG": str(kubeconfig), "LOCAL": "/nowhere", "TERM": "dumb", "COLUMNS": "120", **more}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        cwd=REPOSITORY,
        env=kept | settings,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def chandlery(stack: Stack, *arguments: str | Path, given: str | None = None) -> Answer:
    """With the stack's kubectl, which builds overlays."""
    path = f"{stack.layout.bin}{os.pathsep}{os.environ['PATH']}"
    return typed(stack.layout.kubeconfig, *arguments, given=given, PATH=path)


def done(stack: Stack, *arguments: str | Path) -> Answer:
    answer = chandlery(stack, *arguments)
    assert answer.code == 0, answer.out + answer.err
    return answer
