"""Charts on our own disk, for a stack on one machine: an archive, or a folder packed the same way every time."""

import gzip
import io
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

from shared.archive import COMPRESSED_LIMIT, FILE_LIMIT, Budget
from shared.errors import Refused


def read(root: Path, path: str) -> bytes:
    """A .tgz or a chart's folder; nothing outside `root`, whatever the path says and links lead to."""
    home = root.resolve()
    found = (home / path.lstrip("/")).resolve()
    if not found.is_relative_to(home) or not found.exists():
        raise Refused("ChartNotFound", f"spec.chart.url: there is no file {path} below the folder for charts")
    if found.is_dir():
        return pack(found, path)
    status = found.stat()
    if not stat.S_ISREG(status.st_mode):
        raise Refused("NotAChart", f"spec.chart.url: {path} is neither a file nor a folder")
    if status.st_size > COMPRESSED_LIMIT:
        raise Refused("ArchiveTooLarge", f"spec.chart.url: {path} has more than 20 MiB")
    return found.read_bytes()


def beside(root: Path, path: str, limit: int) -> bytes | None:
    """A small file below `root`; None where there is none."""
    home = root.resolve()
    found = (home / path.lstrip("/")).resolve()
    if not found.is_relative_to(home) or not found.is_file() or found.stat().st_size > limit:
        return None
    return found.read_bytes()


def pack(folder: Path, shown: str) -> bytes:
    """Same files, same bytes, same digest: sorted, without times and owners. Hidden files stay out."""
    if not (folder / "Chart.yaml").is_file():
        raise Refused("NotAChart", f"spec.chart.url: {shown} has no Chart.yaml")
    tarred = io.BytesIO()
    budget = Budget()
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or not path.is_file():
                raise Refused("UnsafePath", f"spec.chart.url: {shown}/{name} is a link; put the file itself there")
            entry = tarfile.TarInfo(f"{folder.name or 'chart'}/{name}")
            entry.size = path.stat().st_size
            if entry.size > FILE_LIMIT:
                raise Refused("ArchiveTooLarge", f"spec.chart.url: {shown}/{name} has more than 5 MiB, Helm's limit")
            budget.take_entry(shown)
            budget.take_content(entry.size, shown)
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return gzip.compress(tarred.getvalue(), compresslevel=6, mtime=0)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path
