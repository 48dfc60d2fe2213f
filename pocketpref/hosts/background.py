"""Files by which the system itself has us learn in the background, now and then.

One for each system's own scheduler: a systemd user timer, a launchd agent, a task of Windows. Each
says, as far as its scheduler can tell, that it is for an idle machine on power; `idleness` looks
again.
"""

from __future__ import annotations

import os
import plistlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import platformdirs

from pocketpref.hosts.wiring import PASSED_ON

NAME: Final = "pocketpref-learn"
_LABEL: Final = "org.pocketpref.learn"
_EVERY: Final = 3600  # seconds


@dataclass(frozen=True, slots=True)
class Service:
    """What one system wants written, and what a person then calls.

    Attributes:
        files: contents by path.
        start: a command that begins it.
        stop: a command that ends it.
    """

    files: Mapping[Path, str]
    start: str
    stop: str


def service(
    environ: Mapping[str, str], options: Sequence[str], *, system: str = sys.platform
) -> Service:
    """The service of this machine.

    Args:
        environ: where this program's own environment names other places, they are passed on.
        options: of ``pocketpref service run``.
        system: as ``sys.platform`` names it.
    """
    command = [sys.executable, "-m", "pocketpref", "service", "run", *options]
    passed = {name: environ[name] for name in PASSED_ON if environ.get(name)}
    if system == "win32":
        return _windows(command, passed)
    return _launchd(command, passed) if system == "darwin" else _systemd(command, passed)


def _systemd(command: Sequence[str], environ: Mapping[str, str]) -> Service:
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"
    variables = "".join(f"Environment={_quoted(f'{k}={v}')}\n" for k, v in environ.items())
    words = " ".join(_quoted(word).replace("$", "$$") for word in command)
    unit = f"""[Unit]
Description=pocketpref learns from choices that are new
ConditionACPower=true

[Service]
Type=oneshot
ExecStart={words}
{variables}Nice=19
CPUSchedulingPolicy=idle
IOSchedulingClass=idle
NoNewPrivileges=true
"""
    timer = f"""[Unit]
Description=pocketpref learns now and then

[Timer]
OnStartupSec=15min
OnUnitInactiveSec={_EVERY}

[Install]
WantedBy=timers.target
"""
    return Service(
        {folder / f"{NAME}.service": unit, folder / f"{NAME}.timer": timer},
        f"systemctl --user daemon-reload && systemctl --user enable --now {NAME}.timer",
        f"systemctl --user disable --now {NAME}.timer",
    )


def _quoted(word: str) -> str:
    # systemd.syntax(7): C escapes inside of quotes, and % begins a specifier.
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _launchd(command: Sequence[str], environ: Mapping[str, str]) -> Service:
    path = Path.home() / "Library" / "LaunchAgents" / f"{_LABEL}.plist"
    content = {
        "Label": _LABEL,
        "ProgramArguments": list(command),
        "EnvironmentVariables": dict(environ),
        "StartInterval": _EVERY,
        "ProcessType": "Background",
        "LowPriorityBackgroundIO": True,
        "Nice": 19,
    }
    return Service(
        {path: plistlib.dumps(content).decode()},
        f"launchctl bootstrap gui/$(id -u) '{path}'",
        f"launchctl bootout gui/$(id -u)/{_LABEL}",
    )


def _windows(command: Sequence[str], environ: Mapping[str, str]) -> Service:
    # A task has no environment of its own, so cmd sets it. A trigger's parts have an order in the
    # Task Scheduler's schema (triggerBaseType); those of the others have none.
    settings = "".join(f'set "{name}={value}"&& ' for name, value in environ.items())
    line = f'/d /c "{settings}{" ".join(_word(word) for word in command)}"'
    path = platformdirs.user_data_path("pocketpref", appauthor=False) / f"{NAME}.xml"
    content = f"""<?xml version="1.0" encoding="UTF-8"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>pocketpref learns now and then</Description></RegistrationInfo>
  <Triggers><TimeTrigger>
    <Enabled>true</Enabled><StartBoundary>2026-01-01T00:00:00</StartBoundary>
    <Repetition><Interval>PT{_EVERY}S</Interval></Repetition>
  </TimeTrigger></Triggers>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>true</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>true</StopIfGoingOnBatteries>
    <IdleSettings><StopOnIdleEnd>true</StopOnIdleEnd></IdleSettings>
    <RunOnlyIfIdle>true</RunOnlyIfIdle>
    <Hidden>true</Hidden>
    <Priority>9</Priority>
  </Settings>
  <Actions><Exec><Command>cmd.exe</Command><Arguments>{escape(line)}</Arguments></Exec></Actions>
</Task>
"""
    return Service(
        {path: content},
        f'schtasks /Create /TN {NAME} /XML "{path}"',
        f"schtasks /Delete /TN {NAME} /F",
    )


def _word(word: str) -> str:
    return f'"{word}"' if " " in word else word
