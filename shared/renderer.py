"""`helm template`, bounded: a stranger's templates are a stranger's program. No cluster, no credentials, no lease.

Time, memory, CPU and output each have a limit. Memory is RLIMIT_DATA: Go reserves far more address space than it uses
(RLIMIT_AS would refuse every Helm or none), and what it writes to is what counts. GOMEMLIMIT alone is only advice.
"""

import asyncio
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Self

from shared.cluster import yaml_of
from shared.helm import DIE_WITH_US, HelmFailed, environment, failure
from shared.kinds import Served
from shared.releases import Release

SECONDS = 30
MEMORY = 1024 * 1024 * 1024
OUTPUT = 8 * 1024 * 1024
ERRORS = 1024 * 1024
AT_ONCE = 2
HINT = "\n\nUse --debug flag to render out invalid YAML"
FLAG_LENGTH = 100_000
API_VERSIONS = 10_000

LIMITED = ("prlimit", f"--data={MEMORY}", f"--cpu={SECONDS}", "--core=0", "--") if shutil.which("prlimit") else ()
POLITE = ("nice", "-n", "10") if shutil.which("nice") else ()
NEEDED = {"PATH", "HOME", "GOGC", "GOMEMLIMIT", "HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"}


class TooMuchOutput(Exception):
    """More than anybody could install."""


class Renderer:
    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="chandlery-render-"))
        self._room = asyncio.Semaphore(AT_ONCE)
        self._background = asyncio.Semaphore(1)

    @classmethod
    async def open(cls) -> Self:
        return cls()

    async def close(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    async def render(
        self,
        chart: Path,
        release: Release,
        served: Served | None = None,
        *,
        background: bool = False,
        limit: float = SECONDS,
    ) -> str:
        """The manifests with hooks, tests and crds/; raises HelmFailed when the templates fail.

        In the `background` one at a time, and after whatever else the machine has to do.
        """
        arguments = ["template", release.name, str(chart), "--namespace", release.namespace, "--values", "-"]
        command = ["helm", *arguments, "--include-crds", *capabilities(served or Served())]
        given = yaml_of(release.values).encode()
        async with self._background if background else self._room:
            return await self._run([*(POLITE if background else ()), *command], given, limit)

    async def _run(self, command: list[str], given: bytes, limit: float) -> str:
        process = await asyncio.create_subprocess_exec(
            *DIE_WITH_US,
            *LIMITED,
            *command,
            env={name: value for name, value in environment(self._home).items() if name in NEEDED},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(limit):
                out, err = await _talk(process, given)
                await process.wait()
        except TimeoutError:
            raise HelmFailed("Timeout", f"the templates did not end within {limit:g} s") from None
        except TooMuchOutput:
            raise HelmFailed("TooLarge", f"the templates print more than {OUTPUT // 1024**2} MiB") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            raise why(process.returncode, err.decode(errors="replace"))
        return out.decode(errors="replace")


async def _talk(process: asyncio.subprocess.Process, given: bytes) -> tuple[bytes, bytes]:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("it was started with pipes")
    out, err, _ = await asyncio.gather(
        _read(process.stdout, OUTPUT), _read(process.stderr, ERRORS), _give(process.stdin, given)
    )
    return out, err


async def _read(stream: asyncio.StreamReader, limit: int) -> bytes:
    found = bytearray()
    while chunk := await stream.read(65536):
        found += chunk
        if len(found) > limit:
            raise TooMuchOutput
    return bytes(found)


async def _give(stream: asyncio.StreamWriter, given: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it failed before it read them all
        stream.write(given)
        await stream.drain()
    stream.close()


def why(code: int, errors: str) -> Exception:
    if "out of memory" in errors[:2000] or "cannot allocate memory" in errors[:2000]:
        return HelmFailed("TemplateFailed", f"the templates need more than {MEMORY // 1024**2} MiB of memory")
    if code < 0:
        limits = f"{SECONDS} s of CPU time, or more memory than there is"
        return HelmFailed("Timeout", f"the templates were stopped: they need more than {limits}")
    return failure("template", errors.replace(HINT, ""))


def capabilities(served: Served) -> list[str]:
    """What the templates are told of the cluster: .Capabilities."""
    flags = ["--kube-version", served.version] if served.version else []
    names = served.api_versions[:API_VERSIONS]
    while names:
        count, length = 0, 0
        while count < len(names) and length + len(names[count]) < FLAG_LENGTH:
            length += len(names[count]) + 1
            count += 1
        flags += ["--api-versions", ",".join(names[:count])]
        names = names[count:] if count else ()
    return flags
