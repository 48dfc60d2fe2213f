"""Serialize records in one canonical form: equal records give equal bytes.

A memory is JSON (sorted keys, no spaces, UTF-8, floats by ``repr``). A learned entry is two such
parts, each behind 4 bytes of length (little-endian): what recall needs, then how it was found; and
the vector as raw little-endian float32. Neither holds the memory's id: it is part of the place
where the blob is sealed.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
import secrets
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, get_args

import numpy as np

from pocketpref.errors import InputError, TamperedError
from pocketpref.records import Effort, Feedback, Learned, Memory, Origin, Pair, Selection, Vector

# Ids of memories: 12 characters, random, easy to read aloud and to type.

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Lowercase letters and digits without i, l, o, 0 and 1, which look like one another."""

LENGTH = 12
"""59 bits: among a million memories, two alike have a chance of one in a million."""


def new_id() -> str:
    """A fresh random id."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return len(text) == LENGTH and all(letter in ALPHABET for letter in text)


def derived_id(key: bytes, other_id: str) -> str:
    """Derive the id that replaces another user's id, always the same for one key."""
    digest = hashlib.blake2b(other_id.encode(), key=key, digest_size=32).digest()
    number = int.from_bytes(digest, "big")
    letters = []
    for _ in range(LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)


MAX_META_CHARACTERS = 1_000_000
"""Longest ``meta`` that is kept, as JSON."""

MAX_PAYLOAD_BYTES = 32 * 1024 * 1024
"""More than any record that is accepted can take; what claims more is refused unread."""

_LENGTH = struct.Struct("<I")
# OverflowError: a whole number that is too large for a float.
_MISFORMED = (
    *(AttributeError, KeyError, TypeError, ValueError, OverflowError),
    *(struct.error, RecursionError),
)
_ORIGINS = get_args(Origin)
_EFFORTS = {int(effort): effort for effort in Effort}
_DECODER = json.JSONDecoder()
_STORED = np.dtype("<f4")


def dump_memory(feedback: Feedback, now: datetime) -> bytes:
    """A pair as bytes.

    Args:
        feedback: the pair and what is known about it.
        now: when it was made, if it does not say so itself. A time without a zone is UTC.

    Raises:
        InputError: its ``meta`` is too large or not JSON-able.
    """
    pair, created = feedback.pair, feedback.created or now
    created = created.replace(tzinfo=UTC) if created.tzinfo is None else created.astimezone(UTC)
    content = {
        "prompt": pair.prompt,
        "chosen": pair.chosen,
        "rejected": pair.rejected,
        "created": created.isoformat(),
        "origin": feedback.origin,
    }
    # Checked apart, so that an error can say which part it was.
    meta = _dump_meta(feedback.meta)
    return _json(content)[:-1] + b',"meta":' + meta + b"}"


def _dump_meta(meta: Mapping[str, Any]) -> bytes:
    encoded = None
    # Raised outside of the handler: the encoder's error may hold the value.
    with suppress(TypeError, ValueError, RecursionError):
        encoded = _json(dict(meta))
    if encoded is None:
        raise InputError(
            "meta holds something that JSON cannot express",
            hint="use text, finite numbers, true, false, null, lists and objects with text keys",
        )
    if len(encoded) > MAX_META_CHARACTERS:
        raise InputError(
            f"meta takes {len(encoded):,} bytes; at most {MAX_META_CHARACTERS:,}",
            hint="keep what is long elsewhere",
        )
    return encoded


def _json(value: object) -> bytes:
    text = json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode()


def load_memory(memory_id: str, payload: bytes) -> Memory:
    """Parse the output of ``dump_memory``.

    Raises:
        TamperedError: it is not in that form.
    """
    # Raised outside of the handler: the decoder's error holds the person's text.
    with suppress(KeyError, TypeError, ValueError, OverflowError, InputError, RecursionError):
        content = json.loads(payload.decode())  # given bytes it would accept UTF-16 and surrogates
        created = datetime.fromisoformat(content["created"])
        pair = Pair(content["prompt"], content["chosen"], content["rejected"])
        origin, meta = content["origin"], content["meta"]
        if created.tzinfo is not None and origin in _ORIGINS and isinstance(meta, dict):
            _dump_meta(meta)  # what cannot be written again must not come in by an archive
            return Memory(memory_id, pair, created.astimezone(UTC), origin, meta)
    raise _unreadable("memory", memory_id)


def dump_learned(learned: Learned) -> bytes:
    """An indexed entry as bytes.

    Raises:
        InputError: its vector is no row of finite numbers, or another number is not finite.
    """
    vector = np.asarray(learned.vector, dtype=_STORED)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise InputError("the vector of a learned entry must be one row of finite numbers")
    chosen = learned.selection
    head = {
        "attributes": list(chosen.attributes),
        "digest": learned.prompt_digest.hex(),
        "effort": int(chosen.effort),
        "gains": list(chosen.gains),
        "recipe": learned.recipe,
    }
    rest = {
        "evaluations": chosen.evaluations,
        "screened": dict(chosen.screened),
        "singles": dict(chosen.singles),
    }
    # Raised outside of the handler: the encoder's error may hold what was learned.
    with suppress(TypeError, ValueError):
        return _part(head) + _part(rest) + vector.tobytes()
    raise InputError("a learned entry holds something that cannot be kept")


def _part(content: object) -> bytes:
    encoded = _json(content)
    return _LENGTH.pack(len(encoded)) + encoded


def _parts(payload: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, rest and vector of a learned entry."""
    rest = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    vector = rest + _LENGTH.size + _LENGTH.unpack_from(payload, rest)[0]
    if vector > len(payload):
        raise ValueError
    return payload[_LENGTH.size : rest], payload[rest + _LENGTH.size : vector], payload[vector:]


def load_learned(memory_id: str, payload: bytes) -> Learned:
    """Parse the output of ``dump_learned``.

    Raises:
        TamperedError: it is not in that form.
    """
    # Raised outside of the handler: the decoder's error holds what was learned.
    with suppress(*_MISFORMED):
        head, rest, vector = _parts(payload)
        content = json.loads(head.decode()) | json.loads(rest.decode())
        digest = bytes.fromhex(content["digest"])
        selection = Selection(
            attributes=tuple(map(sys.intern, content["attributes"])),
            gains=tuple(content["gains"]),  # checked there
            singles=_margins(content["singles"]),
            screened=_margins(content["screened"]),
            evaluations=operator.index(content["evaluations"]),
            effort=Effort(content["effort"]),
        )
        recipe = sys.intern(content["recipe"])
        return Learned(memory_id, _vector(vector), digest, selection, recipe)
    raise _unreadable("learned entry", memory_id)


class StoredLesson(NamedTuple):
    """The part of a learned entry that recall needs: a `Lesson`.

    A named tuple, for thousands of them are made whenever a vault is opened, and a frozen dataclass
    takes three times as long.
    """

    memory_id: str
    vector: Vector
    prompt_digest: bytes
    attributes: tuple[str, ...]
    objective: float
    effort: Effort
    recipe: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.memory_id!r}, recipe={self.recipe!r})"


def load_lesson(memory_id: str, payload: bytes) -> StoredLesson:
    """Parse the part of a learned entry that recall needs; the many margins are skipped.

    Raises:
        TamperedError: it is not in that form.
    """
    # A plain try, for this runs for thousands of entries whenever a vault is opened, and
    # suppress() would be a tenth of it.
    try:
        head, _, vector = _parts(payload)
        text = head.decode()
        content, end = _DECODER.raw_decode(text)
        if end == len(text):
            return StoredLesson(
                memory_id,
                _vector(vector),
                bytes.fromhex(content["digest"]),
                tuple(map(sys.intern, content["attributes"])),
                _finite(sum(content["gains"])),
                _EFFORTS[content["effort"]],
                sys.intern(content["recipe"]),
            )
    except _MISFORMED:
        pass
    raise _unreadable("learned entry", memory_id)


def _vector(raw: bytes) -> Vector:
    """Read-only, and without a copy on little-endian machines."""
    vector = np.frombuffer(raw, dtype=_STORED)
    return vector if _STORED.isnative else vector.astype(np.float32)


def _margins(values: Mapping[str, float]) -> dict[str, float]:
    # Every entry has the same few dozen names: keep one copy of each.
    return {sys.intern(name): _finite(value) for name, value in values.items()}


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number


def _unreadable(kind: str, memory_id: str) -> TamperedError:
    return TamperedError(
        f"the {kind} {memory_id} is not in a form that this version can read",
        hint="it may come from a later version of pocketpref",
    )
