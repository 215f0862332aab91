"""Chart archives from strangers: a gzipped tar, read within limits and without ever touching the file system."""

import gzip
import io
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from shared.errors import Refused

MIB = 1024 * 1024
COMPRESSED_LIMIT = 20 * MIB
PROV_LIMIT = 1024 * 1024
FILE_LIMIT = 5 * MIB  # Helm's own limit
REPACK = "pack the chart again with `helm package`"


@dataclass
class Budget:
    """What an archive and all archives inside it may cost together."""

    content: int = 100 * MIB
    entries: int = 10_000
    nodes: int = 200_000
    """YAML nodes, after aliases are followed."""

    def take_content(self, amount: int, archive: str) -> None:
        self.content -= amount
        if self.content < 0:
            raise Refused(
                "ArchiveTooLarge", f"{archive}: unpacks to more than 100 MiB; leave out what is not the chart"
            )

    def take_entry(self, archive: str) -> None:
        self.entries -= 1
        if self.entries < 0:
            raise Refused("ArchiveTooLarge", f"{archive}: has more than 10000 entries; leave out what is not the chart")


def unpack(archive: bytes, name: str, budget: Budget, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The files by their path below the archive's one folder; those that are not wanted are there, but empty."""
    if len(archive) > COMPRESSED_LIMIT:
        raise Refused("ArchiveTooLarge", f"{name}: has more than 20 MiB; leave out what is not the chart")
    folders: set[str] = set()
    files: dict[str, bytes] = {}
    try:
        for member, content in _members(archive, name, budget):
            folder, path = _split(member, name)
            folders.add(folder)
            if len(folders) > 1:
                raise Refused("NotAChart", f"{name}: has several top-level folders, {_list(folders)}; {REPACK}")
            if content is None:
                continue
            if not path or path in files:
                what = "is there twice" if path else "is not in a folder"
                raise Refused("NotAChart", f"{name}: {_shown(member)} {what}; {REPACK}")
            files[path] = content() if wanted(path) else b""
    except Refused:
        raise
    except Exception as error:  # tarfile meets broken archives with whatever exception comes up
        raise Refused("NotAChart", f"{name}: is not a gzipped tar archive ({error}); {REPACK}") from error
    return files


def _members(archive: bytes, name: str, budget: Budget) -> Iterator[tuple[str, Callable[[], bytes] | None]]:
    """Each entry's path and, unless it is a folder, how to read it before going on to the next."""
    with tarfile.open(fileobj=_Counted(archive, name, budget), mode="r|") as tar:
        for member in tar:
            budget.take_entry(name)
            if member.isdir():
                yield member.name, None
                continue
            if not member.isreg() or member.issparse():
                kind = "a link" if member.islnk() or member.issym() else "no plain file"
                raise Refused("UnsafePath", f"{name}: {_shown(member.name)} is {kind}; put the file itself there")
            if member.size > FILE_LIMIT:
                raise Refused("ArchiveTooLarge", f"{name}: {_shown(member.name)} has more than 5 MiB, Helm's limit")
            yield member.name, partial(_content, tar, member)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


class _Counted(io.RawIOBase):
    """What comes out of the compression, paid for as it comes: a bomb ends the reading, not the process."""

    def __init__(self, archive: bytes, name: str, budget: Budget) -> None:
        self._unzipped = gzip.GzipFile(fileobj=io.BytesIO(archive))
        self._name = name
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        content = self._unzipped.read(size)
        self._budget.take_content(len(content), self._name)
        return content


def _split(member: str, archive: str) -> tuple[str, str]:
    """The top-level folder and the path below it."""
    parts = member.split("/")
    unsafe = (
        ("is an absolute path", member.startswith("/") or re.match(r"[A-Za-z]:", member)),
        ("leaves the chart by ..", ".." in parts),
        ("has a backslash", "\\" in member),
        ("has control characters", not member.isprintable()),
    )
    for what, true in unsafe:
        if true:
            raise Refused("UnsafePath", f"{archive}: {_shown(member)} {what}; {REPACK}")
    path = posixpath.normpath("/".join(parts[1:]))
    return parts[0], "" if path == "." else path


def _list(folders: set[str]) -> str:
    return ", ".join(_shown(folder) for folder in sorted(folders))


def _shown(path: str) -> str:
    return ascii(path if len(path) <= 120 else path[:120] + "...")
