"""Add pocketpref to the settings of MCP clients, and remove it again.

Nothing else in their files is changed, a file that is not plain JSON is left as it is, and each is
replaced in one step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from pocketpref.errors import FileError, InputError
from pocketpref.files import replace_file

ENTRY: Final = "pocketpref"
"""The name of our entry in their settings."""

_MOST_BYTES: Final = 4_000_000
PASSED_ON: Final = ("POCKETPREF_HOME", "POCKETPREF_KEY_FILE", "POCKETPREF_PASSPHRASE_FILE")

Entry = dict[str, Any]


def _settings_of(program: str, *inside: str) -> Callable[[Path], Path]:
    def place(home: Path) -> Path:
        base = platformdirs.user_config_path(program, appauthor=False, roaming=True)
        return base.joinpath(*inside)

    return place


def _at_home(*inside: str) -> Callable[[Path], Path]:
    return lambda home: home.joinpath(*inside)


@dataclass(frozen=True, slots=True)
class Host:
    """A program that speaks MCP.

    Attributes:
        name: in commands, and by default as an assistant (``mcp:NAME``).
        title: for people.
        place: gives the file of its settings.
        key: of the object in it that holds one entry for each server.
        more: what else its entries say.
    """

    name: str
    title: str
    place: Callable[[Path], Path]
    key: str = "mcpServers"
    more: Mapping[str, Any] | None = None

    @property
    def path(self) -> Path:
        """The file of its settings; links are followed, so that they stay links."""
        return self.place(Path.home()).resolve()


HOSTS: Final[Sequence[Host]] = (
    Host("claude-desktop", "Claude Desktop", _settings_of("Claude", "claude_desktop_config.json")),
    Host("cursor", "Cursor", _at_home(".cursor", "mcp.json")),
    Host("gemini-cli", "Gemini CLI", _at_home(".gemini", "settings.json")),
    Host(
        "vscode",
        "Visual Studio Code",
        _settings_of("Code", "User", "mcp.json"),
        key="servers",
        more={"type": "stdio"},
    ),
    Host("windsurf", "Windsurf", _at_home(".codeium", "windsurf", "mcp_config.json")),
)
"""The programs whose settings are known."""


def host(name: str) -> Host:
    """Return the host with a name.

    Raises:
        InputError: no host has this name.
    """
    found = next((one for one in HOSTS if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in HOSTS)
        raise InputError(
            "no such host is known", hint=f"one of {known}; for others: pocketpref mcp entry"
        )
    return found


def entry(
    client: str, environ: Mapping[str, str], options: Sequence[str] = (), *, python: str = ""
) -> Entry:
    """The settings entry that starts our MCP server.

    Args:
        client: the name that the assistant is given.
        environ: where this program's own environment names other places, they are passed on: a
            desktop program has an environment of its own.
        options: of ``pocketpref mcp``.
        python: the interpreter; "" for this one.
    """
    started: Entry = {
        "command": python or sys.executable,
        "args": ["-m", "pocketpref", "mcp", "--client", client, *options],
    }
    passed = {name: environ[name] for name in PASSED_ON if environ.get(name)}
    return started | {"env": passed} if passed else started


@dataclass(frozen=True, slots=True)
class Change:
    """A planned change of a host's settings.

    Attributes:
        path: the file.
        before: its content, or None without a file.
        after: its new content.
    """

    path: Path
    before: str | None
    after: str

    @property
    def needed(self) -> bool:
        """Whether anything is different."""
        return self.before != self.after

    def make(self) -> None:
        """Replace the file in one step.

        Raises:
            FileError: it was changed meanwhile, or cannot be written; it is as it was.
        """
        if _content(self.path) != self.before:
            raise FileError(f"{self.path} was changed meanwhile", hint="try again")
        failed = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, self.after.encode())
        except OSError as error:
            failed = error.strerror or "it failed"
        if failed:
            raise FileError(
                f"{self.path} cannot be written: {failed}",
                hint="check its permissions and its disk",
            )


def entered(known: Host, ours: Entry) -> Change:
    """Plan the change that adds our entry, or replaces an earlier one.

    Raises:
        FileError: the file cannot be read as plain JSON.
    """
    before = _content(known.path)
    settings = _settings(known.path, before)
    servers = _servers(known, settings)
    servers[ENTRY] = {**(known.more or {}), **ours}
    settings[known.key] = servers
    return Change(known.path, before, _written(settings, before))


def removed(known: Host) -> Change | None:
    """Plan the change that removes our entry; None if there is none.

    Raises:
        FileError: the file cannot be read as plain JSON.
    """
    before = _content(known.path)
    settings = _settings(known.path, before)
    servers = _servers(known, settings)
    if ENTRY not in servers:
        return None
    del servers[ENTRY]
    settings[known.key] = servers
    return Change(known.path, before, _written(settings, before))


def present(known: Host) -> bool:
    """Whether a host's settings have our entry."""
    with suppress(FileError):
        return ENTRY in _servers(known, _settings(known.path, _content(known.path)))
    return False


def _content(path: Path) -> str | None:
    problem = ""
    try:
        if path.stat().st_size <= _MOST_BYTES:
            return path.read_bytes().decode("utf-8")
        problem = "it is too large to be settings"
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = error.strerror or "it failed"
    except UnicodeDecodeError:
        problem = "it is not UTF-8"
    raise FileError(
        f"{path} cannot be read: {problem}",
        hint="check it; `pocketpref mcp entry` prints what to enter by hand",
    )


def _settings(path: Path, content: str | None) -> Entry:
    if content is None or not content.strip():
        return {}
    with suppress(ValueError, RecursionError):
        settings = json.loads(content)
        if isinstance(settings, dict):
            return settings
    raise _by_hand(path)


def _servers(known: Host, settings: Entry) -> Entry:
    servers = settings.get(known.key, {})
    if not isinstance(servers, dict):
        raise _by_hand(known.path)
    return dict(servers)


def _by_hand(path: Path) -> FileError:
    return FileError(
        f"{path} is not plain JSON (perhaps it has comments), so it is left as it is",
        hint="enter it by hand: `pocketpref mcp entry` shows what",
    )


def _written(settings: Entry, before: str | None) -> str:
    return json.dumps(settings, indent=_indent(before), ensure_ascii=False) + "\n"


def _indent(content: str | None) -> int | str:
    """The indentation of the first line that has any."""
    for line in (content or "").splitlines():
        blank = line[: len(line) - len(line.lstrip(" \t"))]
        if blank and line.strip():
            return blank
    return 2
