"""Log-likelihoods that are computed once and kept: what an evaluation spends its time on.

A ``CachedModel`` stands before a language model. Whatever asks for a likelihood a second time, in
another method, split or process, is given the first answer.

A file of likelihoods holds no text. It names each one by a hash of conversation and answer; so
whoever has the file and guesses a text can confirm that it was scored. It is written only where
the person who evaluates says so.

    file     header, then records; whatever follows the last whole record is ignored
    header   8 bytes: "ppllh", 0, 0, 1; then 32 bytes: SHA-256 that names model and weights
    record   32 bytes, little-endian: key (16), log p in nats (f8), tokens (u4), CRC-32 (u4)
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import FileError, ModelMissingError
from pocketpref.protocols import LanguageModel
from pocketpref.records import Likelihoods, Message, Sampling

_MAGIC: Final = b"ppllh\x00\x00\x01"
_HEADER: Final = len(_MAGIC) + 32
_FIELDS: Final = struct.Struct("<16sdI")
_RECORD: Final = _FIELDS.size + 4
_KEY: Final = 16

Value = tuple[float, int]
"""Log p in nats, and how many tokens were scored."""


class LikelihoodFile:
    """Likelihoods of one model in one file, to which records are only ever added.

    A record that a crash cut short, or a disk damaged, is left out: it is computed again.
    """

    def __init__(self, path: Path, identity: str) -> None:
        """Open the file, or make it.

        Args:
            path: its folder must be there.
            identity: what decides the numbers: the model, its weights, how they are computed.

        Raises:
            FileError: it is another kind of file, or another model's.
        """
        self._path = path
        self._header = _MAGIC + hashlib.sha256(identity.encode()).digest()
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(self._header)

    @classmethod
    def in_folder(cls, folder: Path, identity: str) -> LikelihoodFile:
        """Open the file of an identity in a folder; both are made if they are not there.

        Raises:
            FileError: the file there is another kind of file, or another model's.
        """
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder / f"{identity[:16]}.likelihoods", identity)

    def read(self) -> dict[bytes, Value]:
        """Everything in it that is sound.

        Raises:
            FileError: it is another kind of file, or another model's.
        """
        content = self._path.read_bytes()
        if content[:_HEADER] != self._header:
            ours = content.startswith(_MAGIC)
            raise FileError(
                "the likelihoods kept here are another model's"
                if ours
                else "this is no file of likelihoods",
                hint="name another folder",
            )
        found: dict[bytes, Value] = {}
        for start in range(_HEADER, len(content) - _RECORD + 1, _RECORD):
            record = content[start : start + _RECORD]
            packed, checksum = record[: _FIELDS.size], record[_FIELDS.size :]
            if zlib.crc32(packed) == int.from_bytes(checksum, "little"):
                key, total, tokens = _FIELDS.unpack(packed)
                found[key] = (total, tokens)
        return found

    def append(self, values: Mapping[bytes, Value]) -> None:
        """Keep more. What stands behind a damaged record stays readable: records have one size."""
        packed = [_FIELDS.pack(key, *value) for key, value in values.items()]
        rest = (self._path.stat().st_size - _HEADER) % _RECORD
        filler = bytes(_RECORD - rest) if rest else b""
        with self._path.open("ab") as file:
            file.write(filler + b"".join(p + struct.pack("<I", zlib.crc32(p)) for p in packed))


class CachedModel:
    """A ``LanguageModel`` that computes each likelihood once.

    Attributes:
        model: computes what is not known, or None.
        computed: likelihoods that were computed here.
        known: likelihoods that are there.
    """

    def __init__(
        self, model: LanguageModel | None, file: LikelihoodFile | None = None, *, name: str = ""
    ) -> None:
        """Build it.

        Args:
            model: computes what is not known; None to work with what is known only.
            file: where likelihoods come from and are kept; None keeps them in memory.
            name: for people, where there is no model.

        Raises:
            FileError: the file cannot be used.
        """
        self.model = model
        self._file = file
        self._name = model.name if model else name
        self.known: dict[bytes, Value] = file.read() if file else {}
        self.computed = 0

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """The model's."""
        return self._needed().fingerprint

    @property
    def context_size(self) -> int:
        """The model's."""
        return self._needed().context_size

    def _needed(self) -> LanguageModel:
        if self.model is None:
            raise ModelMissingError(
                "a likelihood is asked for that was never computed, and there is no model",
                hint="compute it first, or leave out the methods that need it",
            )
        return self.model

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        """See ``LanguageModel.likelihoods``.

        Raises:
            ModelMissingError: something is not known, and there is no model to compute it.
        """
        keys = [_keys(context, answers) for context in contexts]
        self._compute(contexts, answers, keys)
        found = [[self.known[key] for key in row] for row in keys]
        totals = np.array([[value[0] for value in row] for row in found])
        return Likelihoods(
            totals.reshape(len(contexts), len(answers)),
            np.array([value[1] for value in found[0]], dtype=np.int64),
        )

    def _compute(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        keys: Sequence[Sequence[bytes]],
    ) -> None:
        """Make everything known that is asked for: one call for the rows and columns it needs."""
        missing = np.array([[key not in self.known for key in row] for row in keys])
        rows = np.flatnonzero(missing.any(axis=1)).tolist()
        columns = np.flatnonzero(missing.any(axis=0)).tolist()
        if not rows:
            return
        found = self._needed().likelihoods(
            [contexts[row] for row in rows], [answers[column] for column in columns]
        )
        fresh = {
            keys[row][column]: (float(found.totals[i, j]), int(found.tokens[j]))
            for i, row in enumerate(rows)
            for j, column in enumerate(columns)
            if missing[row, column]
        }
        self.computed += len(fresh)
        self.known |= fresh
        if self._file:
            self._file.append(fresh)

    def has(self, context: Sequence[Message], answer: str) -> bool:
        """Whether a likelihood is known."""
        return _keys(context, [answer])[0] in self.known

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64] | None:
        """See ``LanguageModel.estimates``; None without a model: then everything is looked up."""
        return self.model.estimates(contexts, answers, signs) if self.model else None

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """See ``LanguageModel.generate``; nothing of it is kept."""
        return self._needed().generate(messages, sampling=sampling, stop=stop, grammar=grammar)

    def close(self) -> None:
        """The model belongs to whoever opened it: nothing is freed."""


def _keys(context: Sequence[Message], answers: Sequence[str]) -> list[bytes]:
    """What names the likelihood of each answer in this conversation."""
    turns = [[turn["role"], turn["content"]] for turn in context]
    begun = hashlib.sha256(json.dumps(turns, ensure_ascii=True).encode() + b"\x00")
    keys = []
    for answer in answers:
        whole = begun.copy()
        whole.update(answer.encode())
        keys.append(whole.digest()[:_KEY])
    return keys
