"""What must hold whenever something of outside is parsed, for `parsers.py`.

A case is parsed, or refused by a `PocketprefError`. Nothing else may be raised; no message, hint,
argument or exception behind the error (hidden ones too) holds text of the input; it takes at most
``SECONDS`` of this process's time and ``SPARE_BYTES`` plus ``PER_BYTE`` times the input's size of
memory; and a file that was read is afterwards what it was, alone in its folder.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from pocketpref.errors import PocketprefError
from tools.fuzz.mutations import MARKER, Form

SECONDS: Final = 1.0
SPARE_BYTES: Final = 64 * 1024 * 1024
PER_BYTE: Final = 50

# Six letters of the marker are enough, for a case may have been cut in the middle of it.
_MARKED: Final = re.compile(
    "|".join(MARKER[i : i + 6] for i in range(len(MARKER) - 5)), re.IGNORECASE
)
_NOTABLE_BYTES: Final = 4 * 1024 * 1024
_FIGURES: Final = re.compile(r"\d[\d,.]*")


class UnusableError(Exception):
    """Something was parsed that cannot be used afterwards as what it was parsed for."""


class _OvertimeError(BaseException):
    """Ends a parser that takes too long; no handler of its own may stop it."""


@dataclass(frozen=True, slots=True)
class Parser:
    """Something that reads what comes from outside.

    Attributes:
        name: what it reads.
        form: how its inputs are best broken.
        parse: given the input and the file that holds it; gives the texts that people may see.
        file: name of the file it reads, with folders if need be; "" if it is handed bytes.
        prepare: makes the input out of a case, such as sealing it.
        may_name: what a message may repeat of the input, such as the name of a setting.
    """

    name: str
    form: Form
    parse: Callable[[bytes, Path], Iterable[str]]
    file: str = ""
    prepare: Callable[[bytes], bytes] = bytes
    may_name: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case.

    Attributes:
        refused: the message of the error, numbers aside; None if the case was parsed.
        failure: what must not be, or "" if all is well.
        seconds: of this process's time.
        memory: bytes held at most, more than before.
    """

    refused: str | None
    failure: str
    seconds: float
    memory: int


def judge(parser: Parser, case: bytes, folder: Path, *, traced: bool = True) -> Outcome:
    """Let one parser read one case.

    Args:
        parser: which.
        case: the input, before ``prepare``.
        folder: an empty folder for the file; the same one may be used again.
        traced: trace each allocation, which takes several times as long. Else it is traced, in a
            second reading, only if the whole process has held more memory than ever before.
    """
    if traced:
        tracemalloc.start()
        try:
            return _judge(parser, case, folder)
        finally:
            tracemalloc.stop()
    before = _resident_peak()
    outcome = _judge(parser, case, folder)
    if _resident_peak() - before < _NOTABLE_BYTES:
        return outcome
    return judge(parser, case, folder)


def _resident_peak() -> float:
    """Most bytes this process has held so far; where that is not told, ever more."""
    if sys.platform == "win32":
        return time.monotonic() * _NOTABLE_BYTES * 1e9
    # Linux's rusage begins with what the process that started this one held; this does not.
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _judge(parser: Parser, case: bytes, folder: Path) -> Outcome:
    content = parser.prepare(case)
    path = folder / parser.file
    if parser.file:
        if "/" in parser.file:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    outcome = _run(parser, content, path)
    if parser.file and path.read_bytes() != content:
        return Outcome(None, "changed the file it read", outcome.seconds, outcome.memory)
    if parser.file and os.listdir(path.parent) != [path.name]:  # noqa: PTH208  # half the time
        return Outcome(None, "left other files", outcome.seconds, outcome.memory)
    return outcome


def _run(parser: Parser, content: bytes, path: Path) -> Outcome:
    error: PocketprefError | None = None
    failure, shown = "", list[str]()
    tracemalloc.reset_peak()
    held, began = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        with _ended_after(2 * SECONDS):
            shown.extend(parser.parse(content, path))
    except PocketprefError as raised:
        error = raised
    except _OvertimeError:
        failure = "did not end"
    except Exception as raised:  # noqa: BLE001  # whatever else is raised is what is looked for
        failure = f"raised {type(raised).__name__} {_origin(raised)}"
    seconds = time.process_time() - began
    memory = tracemalloc.get_traced_memory()[1] - held
    if error is not None:
        shown.extend(_texts(error))
    failure = failure or _excess(seconds, memory, len(content)) or _leak(parser, error, shown)
    refused = None if error is None else _FIGURES.sub("N", error.message)
    return Outcome(refused, failure, seconds, memory)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Break off what takes more of this process's time, where the system can do that."""
    if not hasattr(signal, "setitimer"):  # Windows: what hangs there is seen by its not ending
        yield
        return
    before = signal.signal(signal.SIGPROF, _overtime)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _overtime(_number: int, _frame: FrameType | None) -> None:
    raise _OvertimeError


def _excess(seconds: float, memory: int, size: int) -> str:
    if seconds > SECONDS:
        return f"took more than {SECONDS:g} s"
    if memory > SPARE_BYTES + PER_BYTE * size:
        return "took too much memory"
    return ""


def _leak(parser: Parser, error: PocketprefError | None, shown: Iterable[str]) -> str:
    for text in shown:
        rest = parser.may_name.sub("", text) if parser.may_name else text
        if _MARKED.search(rest):
            where = "a report" if error is None else f"{type(error).__name__} {_origin(error)}"
            return f"shows text of the input in {where}"
    return ""


def _texts(error: BaseException) -> Iterator[str]:
    """Everything that an exception holds, and all exceptions behind it."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        yield from (str(found), repr(found.args), repr(getattr(found, "__dict__", "")))
        # Not in __dict__: what the decoders' and KeyError's cousins keep in slots of their own.
        yield from (repr(getattr(found, slot, "")) for slot in ("object", "obj", "doc", "name"))
        waiting += (found.__cause__, found.__context__)


def _origin(error: BaseException) -> str:
    """Where in the package or the checks an exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "pocketpref" in Path(frame.filename).parts] or frames
    return f"in {Path(own[-1].filename).name}, {own[-1].name}"
