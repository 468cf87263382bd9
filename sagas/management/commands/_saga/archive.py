"""A file of sagas that are about to be removed: JSON lines, compressed, of which nothing is ever lost.

Each batch is a zstd frame of its own, appended whole and on the disk before :meth:`Archive.keep` returns.
A frame that was cut off by a crash is moved aside when the file is opened again: what it held is still
in the database. ``zstd -dc FILE`` reads all frames.
"""

import fcntl
import mmap
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from backports import zstd

#: So that a reader notices what a disk has garbled.
OPTIONS: Mapping[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
#: What a frame begins with.
MAGIC = b"\x28\xb5\x2f\xfd"


class CannotKeep(Exception):
    """A file that is no archive of ours, or in use. Its text says which, and what to do."""


class Archive:
    """Appends to one file; used as a context manager, it has the file for itself."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "Archive":
        new = not self.path.exists()
        # Values and all: nobody else's business.
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._take()
            if new:
                _sync_folder(self.path)
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def keep(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Append documents, a line each; once this returns they survive a power cut."""
        lines = b"".join(_line(document) for document in documents)
        left = memoryview(zstd.compress(lines, options=OPTIONS))
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotKeep(
                f"{self.path} is being written by another process; wait, or name another file."
            ) from None
        size = os.fstat(self._file).st_size
        whole = _whole(self._file, size)
        if whole == 0 and size and os.pread(self._file, 4, 0) != MAGIC[: min(size, 4)]:
            raise CannotKeep(f"{self.path} is not a zstd file; nothing was changed. Name another file.")
        if whole < size:
            self._move_aside(whole)

    def _move_aside(self, whole: int) -> None:
        """Cut off what is not a whole frame, once it is safe beside the file."""
        aside = self.path.with_name(f"{self.path.name}.torn")
        with self.path.open("rb") as present, aside.open("ab") as torn:
            os.fchmod(torn.fileno(), 0o600)
            present.seek(whole)
            shutil.copyfileobj(present, torn)
            torn.flush()
            os.fsync(torn.fileno())
        _sync_folder(aside)
        os.ftruncate(self._file, whole)
        os.fsync(self._file)


def _line(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps(document) + b"\n"


def _whole(file: int, size: int) -> int:
    """Return where the last whole frame ends. Of each only the blocks' headers are read."""
    if not size:
        return 0
    end = 0
    with mmap.mmap(file, size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as everything:
        while end < size:
            try:
                with everything[end:] as rest:
                    end += zstd.get_frame_size(rest)
            except zstd.ZstdError:
                break
    return end


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
