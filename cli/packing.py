"""What is to be pushed: an archive, or a folder that Helm packs; checked as it will be when it is offered."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from shared import charts
from shared.archive import COMPRESSED_LIMIT, PROV_LIMIT
from shared.errors import Refused


@dataclass(frozen=True)
class Package:
    chart: charts.Chart
    archive: bytes
    prov: bytes | None


def package(path: Path, prov: Path | None) -> Package:
    """`prov` is looked for beside the archive if it isn't said, as `helm push` does."""
    if path.is_dir():
        if prov:
            fix = "pack it with `helm package --sign` and push the archive"
            raise Refused("InvalidSource", f"--prov: {path} is a folder, and only archives are signed; {fix}")
        archive = packed(path)
        return Package(charts.inspect(archive), archive, None)
    archive = read(path, COMPRESSED_LIMIT)
    beside = prov or path.with_name(f"{path.name}.prov")
    signed = read(beside, PROV_LIMIT) if prov or beside.exists() else None
    return Package(charts.inspect(archive), archive, signed)


def read(path: Path, limit: int) -> bytes:
    try:
        if path.stat().st_size > limit:
            raise Refused("ArchiveTooLarge", f"{path}: has more than {limit // 1024} KiB")
        return path.read_bytes()
    except OSError as error:
        raise Refused("ChartNotFound", f"{path}: can't be read ({error.strerror}); check the path") from error


def packed(folder: Path) -> bytes:
    """By `helm package`, so .helmignore counts; the same files of the same age give the same digest."""
    with tempfile.TemporaryDirectory() as out:
        try:
            subprocess.run(
                ["helm", "package", str(folder.resolve()), "--destination", out],  # noqa: S607 the user's own
                capture_output=True,
                text=True,
                check=True,
            )
        except FileNotFoundError as error:
            fix = "put it there (`make up` has one in .local/bin), or push an archive"
            raise Refused("HelmMissing", f"{folder}: is packed by helm, which is not on PATH; {fix}") from error
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip().removeprefix("Error: ")
            raise Refused("NotAChart", f"{folder}: can't be packed: {said}") from error
        return read(next(Path(out).glob("*.tgz")), COMPRESSED_LIMIT)
