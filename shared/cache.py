"""Charts on local disk, by digest: Helm wants files, and a chart is asked for far more often than it changes."""

import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LIMIT = 512 * 1024 * 1024


@dataclass(frozen=True)
class Cache:
    folder: Path
    limit: int = LIMIT

    @classmethod
    def open(cls, folder: Path | None = None, limit: int = LIMIT) -> Self:
        """In $CHANDLERY_CACHE or the temporary folder, which others can write to: it must be ours alone."""
        chosen = folder or Path(os.environ.get("CHANDLERY_CACHE") or tempfile.gettempdir()) / f"charts-{os.getuid()}"
        chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = chosen.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise PermissionError(f"{chosen} can be written to by others; remove it or set CHANDLERY_CACHE")
        return cls(chosen, limit)

    def find(self, digest: str) -> Path | None:
        path = self._path(digest)
        try:
            os.utime(path)  # what was asked for last goes last
        except FileNotFoundError:
            return None
        return path

    def keep(self, digest: str, archive: bytes) -> Path:
        """Whole or not at all, also for other processes."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
            file.write(archive)
            file.flush()
            os.fsync(file.fileno())
        path = Path(file.name).rename(self._path(digest))
        self._make_room(path)
        return path

    def drop(self, digest: str) -> None:
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest.removeprefix('sha256:')}.tgz"

    def _make_room(self, newest: Path) -> None:
        kept = {path: status for path in self.folder.glob("*.tgz") if (status := _status(path))}
        total = sum(status.st_size for status in kept.values())
        for path in sorted(kept, key=lambda path: kept[path].st_mtime_ns):
            if total <= self.limit:
                return
            if path != newest:
                path.unlink(missing_ok=True)
                total -= kept[path].st_size


def _status(path: Path) -> os.stat_result | None:
    """None when another process has just dropped it."""
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
