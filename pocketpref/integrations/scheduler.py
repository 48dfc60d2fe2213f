"""Learn in the background through the system's own scheduler, while the machine is idle.

The scheduler is a systemd user timer, a launchd agent or a task of Windows. Each is configured, as
far as it can tell, for an idle machine on power; `IdleWatch` checks again.
"""

from __future__ import annotations

import os
import plistlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import platformdirs
import psutil

from pocketpref.integrations.mcp_clients import PASSED_ON

# Whether the machine is idle.
#
# Two facts are available on every system: whether it runs on battery, and how busy other programs
# keep the processor. Whether somebody is using it is known on some systems only; there the
# scheduler's file asks for it.

BUSY: Final = 0.35
"""Share of all cores that other programs may take before we give way."""

_SECONDS: Final = 2.0  # over which that is measured


@dataclass(frozen=True, slots=True)
class Moment:
    """The processor time used up to one moment, in seconds.

    Attributes:
        clock: that runs on.
        busy: of all cores and all programs.
        own: of this program and those that it started and that have ended.
    """

    clock: float
    busy: float
    own: float

    @classmethod
    def now(cls) -> Moment:
        """As the system counts it."""
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # On Linux `user` includes `guest`.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return cls(time.monotonic(), sum(times) - idle - twice, own.user + own.system)

    def others_since(self, before: Moment) -> float:
        """The share of all cores that other programs took meanwhile, in [0, 1]."""
        span = (self.clock - before.clock) * (psutil.cpu_count() or 1)
        taken = (self.busy - before.busy) - (self.own - before.own)
        return min(max(taken / span, 0.0), 1.0) if span > 0 else 0.0


def on_battery() -> bool:
    """Whether the machine runs on battery; False without a battery or if it is unknown."""
    sensors = getattr(psutil, "sensors_battery", None)
    try:
        battery = sensors() if sensors is not None else None
    except (OSError, RuntimeError, psutil.Error):  # seen in virtual machines
        battery = None
    return battery is not None and battery.power_plugged is False


class IdleWatch:
    """Reports whether background work should wait, and why."""

    def __init__(
        self,
        moment: Callable[[], Moment] = Moment.now,
        battery: Callable[[], bool] = on_battery,
        seconds: float = _SECONDS,
    ) -> None:
        """Begin to watch.

        Args:
            moment: gives what the processor has done.
            battery: whether one is being emptied.
            seconds: over which other programs are measured.
        """
        self._moment = moment
        self._battery = battery
        self._seconds = seconds
        self._before = moment()

    def reason(self) -> str:
        """Return why to wait, or "" if there is no reason or too little is known.

        Cheap: it can be asked at every step.
        """
        now = self._moment()
        if now.clock - self._before.clock < self._seconds:
            return ""
        others, self._before = now.others_since(self._before), now
        if self._battery():
            return "the machine runs on its battery"
        if others > BUSY:
            return f"other programs take {others:.0%} of the processor"
        return ""

    def first(self) -> str:
        """The same, after measuring for long enough."""
        time.sleep(self._seconds)
        return self.reason()


NAME: Final = "pocketpref-learn"
_LABEL: Final = "org.pocketpref.learn"
_EVERY: Final = 3600  # seconds


@dataclass(frozen=True, slots=True)
class ScheduledService:
    """The files of a scheduled service, and the commands that start and stop it.

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
) -> ScheduledService:
    """The service of this machine.

    Args:
        environ: where this program's own environment names other places, they are passed on.
        options: of ``pocketpref service run``.
        system: as ``sys.platform`` names it.
    """
    command = [sys.executable, "-m", "pocketpref", "service", "run", *options]
    passed = {name: environ[name] for name in PASSED_ON if environ.get(name)}
    if system == "win32":
        return windows_task(command, passed)
    if system == "darwin":
        return launchd_agent(command, passed)
    return systemd_timer(command, passed)


def systemd_timer(command: Sequence[str], environ: Mapping[str, str]) -> ScheduledService:
    """A systemd user timer that runs a command, with these environment variables."""
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
    return ScheduledService(
        {folder / f"{NAME}.service": unit, folder / f"{NAME}.timer": timer},
        f"systemctl --user daemon-reload && systemctl --user enable --now {NAME}.timer",
        f"systemctl --user disable --now {NAME}.timer",
    )


def _quoted(word: str) -> str:
    # systemd.syntax(7): C escapes inside of quotes, and % begins a specifier.
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def launchd_agent(command: Sequence[str], environ: Mapping[str, str]) -> ScheduledService:
    """A launchd agent that runs a command, with these environment variables."""
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
    return ScheduledService(
        {path: plistlib.dumps(content).decode()},
        f"launchctl bootstrap gui/$(id -u) '{path}'",
        f"launchctl bootout gui/$(id -u)/{_LABEL}",
    )


def windows_task(command: Sequence[str], environ: Mapping[str, str]) -> ScheduledService:
    """A task of Windows that runs a command, with these environment variables."""
    # A task has no environment of its own, so cmd sets it. A trigger's parts have an order in the
    # Task Scheduler's schema (triggerBaseType); those of the others have none.
    settings = "".join(f'set "{name}={value}"&& ' for name, value in environ.items())
    words = " ".join(f'"{word}"' if " " in word else word for word in command)
    line = f'/d /c "{settings}{words}"'
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
    return ScheduledService(
        {path: content},
        f'schtasks /Create /TN {NAME} /XML "{path}"',
        f"schtasks /Delete /TN {NAME} /F",
    )
