"""Every error the library raises on purpose.

    PocketprefError                 .message, .hint
    ├── InputError                  what was handed in cannot be used
    │   ├── PairError               an empty, identical or over-long pair
    │   ├── FileError               a file to import or restore is not what it should be
    │   └── NotFoundError           no such memory, user, attribute or model
    ├── ConfigError                 the configuration file or an environment variable
    ├── ModelError                  a language model or embedder
    │   ├── ModelMissingError       its file is not there
    │   ├── ModelDamagedError       its file is truncated, changed or no model at all
    │   ├── ModelUnsupportedError   the file is sound, but this build cannot use it
    │   └── AdapterError            damaged, hostile, another model's, or not as its manifest says
    ├── EgressError                 data that would leave
    │   ├── DeniedError             nothing allows it, or somebody said no
    │   └── RemoteError             the other side
    │       ├── RemoteUnreachableError  not to be reached, too slow, or gone half-way
    │       ├── RemoteRefusedError      it answered with an error, or sent us elsewhere
    │       └── RemoteGarbledError      it answered with what cannot be understood
    └── VaultError                  data at rest
        ├── KeyMissingError         no key, and no way to ask for one
        ├── WrongKeyError           there is a key, but it does not open this vault
        ├── KeyringError            the system's keyring is absent, locked or not trustworthy
        ├── KeyChangedError         another program exchanged the key while the vault was open
        ├── TamperedError           something was changed, moved, removed, put back or truncated
        │   └── RolledBackError     the whole file is older than what was last seen
        ├── NewerFormatError        written by a later version of pocketpref
        ├── VaultBusyError          another process holds the vault for too long
        └── StorageError            the disk is full, read-only or failing

A message names the thing that is wrong and never quotes a person's text; a hint says what to do
next. Behind an error stands no exception that could carry a person's text, not even one that
``from None`` hides: such an error is raised outside of the handler.
"""

from __future__ import annotations


class PocketprefError(Exception):
    """Base of all deliberate errors.

    Attributes:
        message: what is wrong, without any text of the user.
        hint: what to do about it, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def words(self) -> str:
        """The message, with the hint behind it if there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InputError(PocketprefError):
    """What was handed in cannot be used."""


class PairError(InputError):
    """A preference pair is empty, identical or over-long."""


class FileError(InputError):
    """A file to import or restore is not what it should be.

    Attributes:
        line: the line (1-based) at which reading failed, or None.
    """

    def __init__(self, message: str, *, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.line = line


class NotFoundError(InputError):
    """No such memory, user, attribute or model."""


class ConfigError(PocketprefError):
    """The configuration file or an environment variable cannot be used."""


class ModelError(PocketprefError):
    """A language model or embedder cannot be used."""


class ModelMissingError(ModelError):
    """The model's file is not there."""


class ModelDamagedError(ModelError):
    """The model's file is truncated, changed or no model at all."""


class ModelUnsupportedError(ModelError):
    """The model's file is sound, but this build or version cannot use it."""


class AdapterError(ModelError):
    """An adapter is damaged or hostile, for another model, or not what its manifest says."""


class EgressError(PocketprefError):
    """Something would leave this machine, and does not."""


class DeniedError(EgressError):
    """No grant allows it, a check refused it, or the person said no."""


class RemoteError(EgressError):
    """What was allowed to leave did not come to a good end on the other side."""


class RemoteUnreachableError(RemoteError):
    """The other side cannot be reached, takes too long, or hung up half-way."""


class RemoteRefusedError(RemoteError):
    """The other side answered with an error, or with another address.

    Attributes:
        status: the HTTP status, or None.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class RemoteGarbledError(RemoteError):
    """The other side answered with what cannot be understood, or with far too much."""


class VaultError(PocketprefError):
    """Data at rest cannot be read or written."""


class KeyMissingError(VaultError):
    """There is no key, and no way to ask for one."""


class WrongKeyError(VaultError):
    """There is a key, but it does not open this vault."""


class KeyringError(VaultError):
    """The system's keyring is absent, locked or not trustworthy."""


class KeyChangedError(VaultError):
    """Another program exchanged the vault's key while it was open here."""


class TamperedError(VaultError):
    """Something in the vault was changed, moved, removed, put back or truncated."""


class RolledBackError(TamperedError):
    """The whole file is older than what was last seen of it."""


class NewerFormatError(VaultError):
    """The vault was written by a later version of pocketpref."""


class VaultBusyError(VaultError):
    """Another process holds the vault for too long."""


class StorageError(VaultError):
    """The disk is full, read-only or failing."""
