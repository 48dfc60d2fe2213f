"""What models write for one search for a summary: the local model, and a trained summarizer.

Whatever they write is a proposal: it passes the same checks, and is judged by the same choices.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence

from pocketpref.errors import AdapterError, ModelError
from pocketpref.lora import Adapter, Blend
from pocketpref.methods.popi import PopiSettings
from pocketpref.methods.popi_language import ENGLISH
from pocketpref.methods.popi_proposals import Proposal, Refused, draft, read_draft, shown
from pocketpref.methods.popi_signals import Signal
from pocketpref.methods.popi_trained import trained_draft
from pocketpref.methods.wearing import wearing
from pocketpref.parts import Parts
from pocketpref.protocols import LanguageModel


class Drafting:
    """Asks the models for drafts; what was written once is noted."""

    def __init__(
        self,
        parts: Parts,
        settings: PopiSettings,
        language: str,
        noted: MutableMapping[str, str],
        stopped: Callable[[], bool],
    ) -> None:
        """Look for a trained summarizer; it writes English only.

        Args:
            parts: what to work with.
            settings: how many drafts of each.
            language: what drafts are written in.
            noted: drafts by a name of what was asked; added to.
            stopped: asked at every piece whether to stop.
        """
        self._parts = parts
        self._settings = settings
        self._language = language
        self._noted = noted
        self._stopped = stopped
        self._problem = ""
        self._adapter = self._found() if language == ENGLISH else None
        self._worn: LanguageModel | None = None

    def _found(self) -> Adapter | None:
        try:
            return self._parts.summarizer()
        except AdapterError as error:
            self._problem = error.message
        return None

    @property
    def count(self) -> int:
        """How many drafts to ask for, for each half: those of the trained summarizer come last."""
        trained = self._adapter or self._problem
        return self._settings.drafts + (self._settings.trained if trained else 0)

    def write(self, signals: Sequence[Signal], draw: int) -> Proposal | Refused | None:
        """One draft as a proposal, or why it is none; None if it was stopped.

        Args:
            signals: the half that it is written for.
            draw: which draft it is, below ``count``.
        """
        number = draw - self._settings.drafts
        if number < 0:
            return self._draft(signals, draw)
        if self._adapter is None:
            return Refused(f"the trained summarizer cannot be used: {self._problem}")
        return self._trained(signals, number, self._adapter)

    def _draft(self, signals: Sequence[Signal], draw: int) -> Proposal | Refused | None:
        seen = shown(signals, draw)
        text = self._noting(
            f"{self._language} {draw} {' '.join(signal.id for signal in seen)}",
            lambda: draft(self._parts.model(), seen, self._language, draw, self._stopped),
        )
        return read_draft(text, seen, self._language) if isinstance(text, str) else text

    def _trained(
        self, signals: Sequence[Signal], draw: int, adapter: Adapter
    ) -> Proposal | Refused | None:
        seen = shown(signals, draw)
        text = self._noting(
            f"{adapter.manifest.sha256} {draw} {' '.join(signal.id for signal in seen)}",
            lambda: trained_draft(self._wearing(adapter), seen, draw, self._stopped),
        )
        return read_draft(f"{text}\n", seen, ENGLISH) if isinstance(text, str) else text

    def _noting(self, key: str, write: Callable[[], str | None]) -> str | Refused | None:
        if key not in self._noted:
            try:
                text = write()
            except (AdapterError, ModelError) as error:
                return Refused(f"the model could not write it: {error.message}")
            if text is None:
                return None
            self._noted[key] = text
        return self._noted[key]

    def _wearing(self, adapter: Adapter) -> LanguageModel:
        if self._worn is None:
            self._worn = wearing(self._parts.model(), Blend(((adapter, 1.0),)))
        return self._worn

    def close(self) -> None:
        """Take the summarizer's adapter off; a second call does nothing."""
        if self._worn is not None:
            self._worn.close()
            self._worn = None
