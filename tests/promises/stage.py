"""A small world for the real program: an empty home, its own folders, and witnesses of both.

Everything that the program may write lies under ``Stage.root``. What the tests themselves write
(texts to hand in, wrong keys) lies beside it, so that whatever is found in the root is the
program's doing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

# What would hide a fault: CI switches some programs' telemetry off, the others move files or keys.
_UNWANTED = ("CI", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "TEMP", "TMP")
_UNWANTED_BEGINNINGS = ("POCKETPREF_", "XDG_", "HF_")


@dataclass
class Done:
    """What one command did."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str


@dataclass
class Stage:
    """Where the program runs.

    Attributes:
        root: everything that it may write to; ``home`` (HOME), ``temp`` (TMPDIR), ``pocket``
            (POCKETPREF_HOME) and ``work`` (the current folder) are in it.
        props: what the tests hand in.
        before: a command that the program is run under, such as strace.
        done: every command so far.
    """

    root: Path
    props: Path
    before: Sequence[str] = ()
    done: list[Done] = field(default_factory=list)

    @classmethod
    def build(cls, folder: Path, *, before: Sequence[str] = ()) -> Stage:
        stage = cls(folder / "root", folder / "props", before)
        for path in (stage.home, stage.temp, stage.work, stage.pocket, stage.props):
            path.mkdir(parents=True)
        return stage

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def temp(self) -> Path:
        return self.root / "temp"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def pocket(self) -> Path:
        return self.root / "pocket"

    @property
    def vault(self) -> Path:
        return self.pocket / "vault.db"

    @property
    def environ(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _UNWANTED and not name.startswith(_UNWANTED_BEGINNINGS)
        }
        # On Windows the home is found by USERPROFILE and the temporary folder by TEMP.
        home, temp = str(self.home), str(self.temp)
        return {
            **kept,
            **dict.fromkeys(("HOME", "USERPROFILE"), home),
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temp),
            "POCKETPREF_HOME": str(self.pocket),
            "POCKETPREF_KEY_FILE": str(self.props / "key"),
            # The folder is not the program's: whoever set it up has compiled or not.
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(
        self, *arguments: str | bytes, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start the real program with pipes."""
        return subprocess.Popen(
            [*self.before, sys.executable, "-m", "pocketpref", *arguments],
            cwd=self.work,
            env={**self.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(
        self, *arguments: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> Done:
        """Run the real program to its end."""
        process = self.start(*arguments, env=env)
        out, err = process.communicate(stdin, timeout=300)
        done = Done(
            tuple(os.fsdecode(a) for a in arguments),
            process.returncode,
            out.decode("utf-8", "replace"),
            err.decode("utf-8", "replace"),
        )
        self.done.append(done)
        return done

    def must(self, *arguments: str | bytes, stdin: bytes = b"") -> Done:
        """Run the real program, which must succeed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.code == 0, done.err
        return done

    def prop(self, name: str, content: str | bytes) -> str:
        """Write a file to hand in; its path."""
        path = self.props / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def lend(self, prepared: Path) -> None:
        """Put a 16-bit copy of the starter where the program would make it: that saves seconds."""
        folder = self.pocket / "cache" / "models"
        folder.mkdir(mode=0o700, parents=True)
        try:
            (folder / prepared.name).hardlink_to(prepared)
        except OSError:  # another disk
            shutil.copyfile(prepared, folder / prepared.name)

    def files(self) -> list[Path]:
        """Every file under the root but lent models."""
        found = (path for path in self.root.rglob("*") if not path.is_dir())
        return sorted(path for path in found if path.suffix != ".gguf")


@cache
def strace_missing() -> str | None:
    """Why strace cannot be used here; None if it can."""
    program = shutil.which("strace")
    if program is None:
        return "strace is not installed"
    probe = [
        program,
        "-f",
        "-qq",
        "-e",
        "trace=network",
        "-o",
        os.devnull,
        sys.executable,
        "-c",
        "",
    ]
    if subprocess.run(probe, capture_output=True, check=False).returncode != 0:
        return "strace may not trace here"
    return None


def under_strace(log: Path) -> tuple[str, ...]:
    """The command that writes every network call of a program and its children to ``log``."""
    # Without seccomp-bpf every system call would stop the program, not only those of the network.
    # With -yy every descriptor is shown with the kind of its socket.
    options = ("-f", "-qq", "-yy", "-A", "-s", "64", "--seccomp-bpf", "-e", "trace=network")
    return ("strace", *options, "-o", str(log))


def network_calls(log: str) -> list[str]:
    """Lines of a trace that are not about sockets between programs on this machine.

    What is not known to be harmless counts: connect, sendto, sendmsg, of whatever family, and names
    that are looked up: by datagrams, or by asking another program on this machine for it.
    """
    calls = (line for line in log.splitlines() if "(" in line and "resumed>" not in line)
    return [line for line in calls if not _LOCAL.search(line) or _NAMES.search(line)]


_LOCAL = re.compile("AF_UNIX|<UNIX")
_NAMES = re.compile("nscd|systemd/resolve|avahi")


@cache
def isolation() -> tuple[str, ...]:
    """A command that runs another without any network interface; empty if not permitted here."""
    for command in (("unshare", "-n"), ("unshare", "-r", "-n")):
        if shutil.which(command[0]) is None:
            return ()
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return ()
