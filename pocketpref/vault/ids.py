"""Ids of memories: 12 characters, random, easy to read aloud and to type."""

from __future__ import annotations

import hashlib
import secrets

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
    """The id that stands for another user's id, always the same for one key."""
    digest = hashlib.blake2b(other_id.encode(), key=key, digest_size=32).digest()
    number = int.from_bytes(digest, "big")
    letters = []
    for _ in range(LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return "".join(letters)
