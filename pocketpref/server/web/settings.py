"""The models and folders of this machine that the page shows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from pocketpref.config import Config, Places
from pocketpref.errors import ModelError, NotFoundError
from pocketpref.models import Catalogue, ModelEntry


@dataclass(frozen=True, slots=True, repr=False)
class Machine:
    """Folders and settings of this machine.

    Attributes:
        places: where things are kept.
        config: the settings that the program was started with.
        environ: environment variables, which come before settings.
    """

    places: Places
    config: Config
    environ: Mapping[str, str]

    def models(self) -> list[tuple[ModelEntry, bool]]:
        """The models on this machine, each with whether it is the default from now on."""
        catalogue = Catalogue(self.places.models)
        chosen = None
        with suppress(ModelError, NotFoundError):  # the one that was chosen is gone: none is marked
            config = self.config if self.overruled else Config.load(self.places, {})
            chosen = catalogue.find(config.model).path
        return [(entry, entry.path == chosen) for entry in catalogue.ls()]

    def choose(self, handle: str) -> ModelEntry:
        """Make a model the default for programs that are started from now on.

        Raises:
            NotFoundError: the model is not listed.
            ConfigError: the settings cannot be read or written.
        """
        listed = Catalogue(self.places.models).ls()
        entry = next((entry for entry in listed if entry.handle == handle), None)
        if entry is None:
            raise NotFoundError("there is no such model on this machine")
        replace(Config.load(self.places, {}), model=entry.handle).save(self.places)
        return entry

    @property
    def overruled(self) -> bool:
        """Whether a variable decides which model is used, whatever is chosen here."""
        return bool(self.environ.get("POCKETPREF_MODEL"))
