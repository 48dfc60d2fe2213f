"""Files that only their owner may read, put in place whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from pocketpref.errors import StorageError

# TOML files, taken as hostile: they are read or refused, and no error quotes them.

MAX_BYTES: Final = 256 * 1024
"""Largest file that is read; the files meant have some kilobytes."""

_MAX_DOTS: Final = 100
# tomllib's messages quote keys; only the place is taken over.
_PLACE: Final = re.compile(r" \(at (?:line \d+, column \d+|end of document)\)$")


class TomlError(Exception):
    """Why a file cannot be used, in words that follow its name; carries no text of it."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of one file.

    Raises:
        TomlError: it is too large, no UTF-8 text or no TOML.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return parse_toml(file.read(MAX_BYTES + 1))


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of one document.

    Raises:
        TomlError: it is too large, no UTF-8 text or no TOML.
    """
    if len(content) > MAX_BYTES:
        raise TomlError(f"has more than {MAX_BYTES // 1024} KiB")
    # tomllib takes time by the square of the number of parts of a dotted key.
    if any(line.count(b".") > _MAX_DOTS for line in content.splitlines()):
        raise TomlError(f"has a line with more than {_MAX_DOTS} dots")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        problem = "is no UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        problem = f"is no valid TOML{place.group() if place else ''}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError:  # Python's limit on the digits of a number
        problem = "holds a number with too many digits"
    # Raised outside of the handlers: decoders' errors hold the file's text.
    raise TomlError(problem)


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn ``OSError`` inside the block into ``StorageError`` naming the path.

    ``FileExistsError`` passes: it is no failure of the disk, and each caller words it itself.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise _storage_error(error, path) from error


def _storage_error(error: OSError, path: Path) -> StorageError:
    if error.errno in _FULL:
        return StorageError(
            f"no room left on the disk for {path}", hint="free some space; nothing was changed"
        )
    if error.errno in _REFUSED:
        return StorageError(
            f"{path} may not be read or written", hint="check its permissions and its disk"
        )
    return StorageError(
        f"{path} cannot be used: {error.strerror or 'unknown reason'}",
        hint="check the path and its disk",
    )


def private_folder(path: Path) -> None:
    """Make a folder of mode 0700 unless it is there; an existing one is left as it is."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        # Not to be taken for "the file to be made is there already".
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None


def new_private_file(path: Path) -> BinaryIO:
    """Open a new file of mode 0600 for writing.

    On Windows, where modes mean nothing, the folder's access list applies.

    Raises:
        FileExistsError: there is one already.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def part_path(target: Path) -> Path:
    """A fresh name beside the target, for building it there."""
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")


@contextlib.contextmanager
def building(target: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Write a private file under another name and publish it when the block ends well.

    Whatever happens, the target is either as it was or complete and on the disk.

    Raises:
        FileExistsError: ``replace`` is false and the target appeared meanwhile.
    """
    part = part_path(target)
    try:
        with new_private_file(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(part, target, replace=replace)
    finally:
        part.unlink(missing_ok=True)


def replace_file(path: Path, data: bytes) -> None:
    """Write a private file such that readers see the old content or the new, never a part.

    Raises:
        OSError: the folder cannot be written.
    """
    with building(path, replace=True) as file:
        file.write(data)


def open_inherited(number: int) -> BinaryIO:
    """Open a descriptor that the parent process handed in, for reading; closing it closes both.

    Raises:
        OSError: there is no such descriptor, or this process opened it itself.
    """
    # What Python and SQLite open is not inheritable, what a shell hands in is: a number that was
    # not handed in must not be read, nor closed, as if it were.
    if not os.get_inheritable(number):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return os.fdopen(number, "rb")


def publish(part: Path, target: Path, *, replace: bool) -> None:
    """Give a finished file its name, in one step.

    Raises:
        FileExistsError: ``replace`` is false and there is a file of that name.
    """
    if replace:
        part.replace(target)
    elif os.name == "nt":
        part.rename(target)  # refuses by itself to replace a file there
    else:
        try:
            target.hardlink_to(part)
        except FileExistsError:
            raise
        except OSError:
            # Some file systems (FAT, some network shares) have no hard links. The check is then
            # not one step with the renaming, which is the best such a disk can do.
            if target.exists():
                code = errno.EEXIST
                raise FileExistsError(code, os.strerror(code), str(target)) from None
            part.rename(target)
        else:
            part.unlink()
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Put a changed folder entry on the disk, where the system knows such a thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
