"""Settings, and the folders the program uses.

One TOML file in the platform's configuration folder; ``POCKETPREF_*`` environment variables come
before it, options of a command before both. ``POCKETPREF_HOME`` moves everything the program keeps
into one folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import platformdirs
import tomli_w

from pocketpref.errors import ConfigError
from pocketpref.files import TomlError, read_toml, replace_file

KeyCustody = Literal["keyring", "passphrase", "key-file"]
Wording = Literal["text", "names"]
Choice = Literal["yes", "no"]

_APP = "pocketpref"
_CHOICES: dict[str, tuple[str, ...]] = {
    "key_custody": get_args(KeyCustody),
    "wording": get_args(Wording),
    "learn_values": get_args(Choice),
    "keep_chat": get_args(Choice),
}
_PATHS = ("key_file", "passphrase_file")


@dataclass(frozen=True, slots=True)
class Places:
    """Every folder and file the program keeps.

    Attributes:
        data: folder of what cannot be made again.
        cache: folder of what can; safe to delete.
        state: folder of what is remembered about the vault outside of it.
        config_file: the settings.
    """

    data: Path
    cache: Path
    state: Path
    config_file: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Places:
        """The platform's folders, or everything under ``POCKETPREF_HOME`` if that is set.

        Nothing is created.
        """
        home = environ.get("POCKETPREF_HOME")
        if home:
            root = Path(home).expanduser().absolute()
            return cls(root, root / "cache", root / "state", root / "config.toml")
        folders = platformdirs.PlatformDirs(_APP, appauthor=False)
        return cls(
            folders.user_data_path,
            folders.user_cache_path,
            folders.user_state_path / "state",
            folders.user_config_path / "config.toml",
        )

    @property
    def vault(self) -> Path:
        """The one file that holds what was remembered and learned."""
        return self.data / "vault.db"

    @property
    def models(self) -> Path:
        """Folder of pulled models."""
        return self.data / "models"

    @property
    def prepared(self) -> Path:
        """Folder of the 16-bit copies that score; made again when they are missing."""
        return self.cache / "models"

    @property
    def attributes(self) -> Path:
        """Own attributes, added to the bank if the file is there."""
        return self.config_file.with_name("attributes.toml")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings. No command writes ``user``: a name in a plain file is the person's choice.

    Attributes:
        user: whose memories are used unless another is named.
        model: handle of the default model; None means the starter model.
        embedder: handle of the embedder; None means the one that is shipped.
        key_custody: who keeps the vault's key; None means the system's keyring.
        key_file: where the key is, for custody ``key-file``.
        passphrase_file: where the passphrase is read from instead of asking for it.
        wording: inject descriptions ("text") or the paper's bare names ("names").
        learn_values: whether attributes of the category values (Western, Conspiracy ...) may
            explain choices; they can say what a person would not.
        keep_chat: whether `pocketpref chat` keeps the conversation, sealed, for `chat -c`.
    """

    user: str = field(default="default", repr=False)
    model: str | None = None
    embedder: str | None = None
    key_custody: KeyCustody | None = None
    key_file: Path | None = None
    passphrase_file: Path | None = None
    wording: Wording = "text"
    learn_values: Choice = "yes"
    keep_chat: Choice = "no"

    @classmethod
    def load(cls, places: Places, environ: Mapping[str, str] = os.environ) -> Config:
        """Read the file if there is one, and let ``POCKETPREF_*`` variables come before it.

        To change the file, load it with an empty environment, ``replace`` and ``save``: otherwise
        today's environment would be written to it.

        Raises:
            ConfigError: an unknown key, a value of the wrong kind, or a file that cannot be read.
        """
        path = places.config_file
        hint = f"correct or delete {path}"
        try:
            values = read_toml(path)
        except FileNotFoundError:
            values = {}
        except OSError as error:
            raise ConfigError(f"{path.name} cannot be read: {error.strerror}", hint=hint) from None
        except TomlError as error:
            raise ConfigError(f"{path.name} {error}", hint=hint) from None
        known: dict[str, Any] = {}
        for key, value in values.items():
            # A name is repeated only if it has the form of one: it may be anybody's text.
            name = key if re.fullmatch("[a-z_]{1,20}", key) else "a name in it"
            known[key] = _checked(key, value, f"{path.name}: {name}", path.parent)
        return _apply_environment(cls(**known), environ)

    def save(self, places: Places) -> None:
        """Write the file in one step: after a crash it is the old one or the new one.

        Raises:
            ConfigError: the file cannot be written.
        """
        values = {
            f.name: str(value) if isinstance(value, Path) else value
            for f in fields(self)
            if (value := getattr(self, f.name)) != f.default
        }
        try:
            places.config_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(places.config_file, tomli_w.dumps(values).encode())
        except OSError as error:
            raise ConfigError(
                f"the configuration cannot be written: {error.strerror or 'unknown reason'}",
                hint=f"check the room in {places.config_file.parent} and its permissions",
            ) from None


def _checked(key: str, value: object, where: str, folder: Path) -> Any:
    """A value as the field ``key`` wants it; paths are relative to ``folder``."""
    known = [f.name for f in fields(Config)]
    if key not in known:
        raise ConfigError(f"{where} is no known setting", hint=f"known: {', '.join(known)}")
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(
            f"{where} must be text and not empty", hint="write it in quotes, or leave it out"
        )
    if key in _CHOICES and value not in _CHOICES[key]:
        raise ConfigError(
            f"{where} must be one of {', '.join(_CHOICES[key])}", hint="choose one, or leave it out"
        )
    if key not in _PATHS:
        return value
    # Raised outside of the handler: RuntimeError is what an unknown name after ~ gives.
    with suppress(RuntimeError):
        if "\0" not in value:
            return folder / Path(value).expanduser()
    raise ConfigError(f"{where} is no usable path", hint="write the whole path of the file")


def _apply_environment(config: Config, environ: Mapping[str, str]) -> Config:
    found: dict[str, Any] = {}
    for setting in fields(Config):
        variable = f"POCKETPREF_{setting.name.upper()}"
        if value := environ.get(variable):
            found[setting.name] = _checked(setting.name, value, variable, Path.cwd())
    if "key_file" in found and "passphrase_file" in found:
        raise ConfigError(
            "POCKETPREF_KEY_FILE and POCKETPREF_PASSPHRASE_FILE are both set",
            hint="a vault's key has one keeper: unset one of them",
        )
    # Either variable chooses custody by itself, so that no keyring is needed.
    if "key_custody" not in found and "key_file" in found:
        found["key_custody"] = "key-file"
    if "key_custody" not in found and "passphrase_file" in found:
        found["key_custody"] = "passphrase"
    return replace(config, **found)
