"""Whether the machine has nothing better to do, as far as the system can tell.

Two things can be told everywhere that matters: whether a battery is being emptied, and how busy
other programs keep the processor. Whether somebody sits before it can be told on some systems only;
there the service file says so (`background`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import psutil

BUSY: Final = 0.35
"""Share of all cores that other programs may take before we give way."""

_SECONDS: Final = 2.0  # over which that is measured


@dataclass(frozen=True, slots=True)
class Moment:
    """What the processor had done by one moment, in seconds.

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
        # On Linux `guest` is counted in `user`, too.
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        return cls(time.monotonic(), sum(times) - idle - twice, own.user + own.system)

    def others_since(self, before: Moment) -> float:
        """The share of all cores that other programs took meanwhile, in [0, 1]."""
        span = (self.clock - before.clock) * (psutil.cpu_count() or 1)
        taken = (self.busy - before.busy) - (self.own - before.own)
        return min(max(taken / span, 0.0), 1.0) if span > 0 else 0.0


def on_battery() -> bool:
    """Whether a battery is being emptied; False where there is none, or nobody can tell."""
    sensors = getattr(psutil, "sensors_battery", None)
    try:
        battery = sensors() if sensors is not None else None
    except (OSError, RuntimeError, psutil.Error):  # seen in virtual machines
        battery = None
    return battery is not None and battery.power_plugged is False


class Watch:
    """Says from time to time why one should not work now."""

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
        """Why not to work now, in words; "" if nothing speaks against it, or too little is known.

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
        """The same, after having watched for long enough."""
        time.sleep(self._seconds)
        return self.reason()
