"""Reads a vault by what docs/vault-format.md says, and by nothing else.

Imports nothing of pocketpref: it is the proof that the page is enough, and an alarm if the format
ever changes without the page. Reads a copy of the file, so that nothing is changed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

APPLICATION_ID = 0x706B7066
FORMAT = 4
HEAD = 13


class Refused(Exception):  # noqa: N818 - it reads well where it is raised
    """The file is not what the page says."""


@dataclass
class ReadUser:
    """One person's part: memories by id in the order of adding, and what was learned."""

    memories: dict[str, dict[str, Any]] = field(default_factory=dict)
    learned: dict[str, tuple[dict[str, Any], np.ndarray]] = field(default_factory=dict)
    rotated_to: int = 0


@dataclass
class ReadVault:
    """Everything that a vault holds."""

    vault_id: bytes
    custody: str
    generation: int
    accepted: list[dict[str, Any]]
    set_key: bytes
    users: dict[str, ReadUser]


# ------------------------------------------------------------------------------------- keys


def derive(key: bytes, purpose: str, context: bytes = b"") -> bytes:
    info = b"pocketpref/1 " + purpose.encode() + b"\0" + context
    return hmac.digest(key, info + b"\x01", "sha256")


def unwrap(secret: bytes, wrapped: bytes, custody: str, name: bytes) -> bytes:
    if wrapped[0] != 1:
        raise Refused("another wrapping")
    binding = b"pocketpref master key\0" + custody.encode() + b"\0" + name
    return AESGCM(secret).decrypt(wrapped[1:13], wrapped[13:], binding)


def key_file_secret(path: Path) -> bytes:
    line = path.read_text("ascii").strip()
    return base64.urlsafe_b64decode(line.removeprefix("pocketpref-key-1:"))


def unwrap_by_passphrase(passphrase: str, wrapped: bytes, name: bytes) -> bytes:
    memory, passes, lanes, salt = struct.unpack_from("<III16s", wrapped)
    secret = Argon2id(
        salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory
    ).derive(passphrase.encode())
    return unwrap(secret, wrapped[28:], "passphrase", name)


# ------------------------------------------------------------------------------------- sealing


def padded(size: int) -> int:
    size = max(size, 256)
    exponent = int(np.floor(np.log2(size)))
    step = 2 ** (exponent - (int(np.floor(np.log2(exponent))) + 1))
    return (size + step - 1) // step * step


def place(vault: bytes, user: int, seq: int, kind: str, name: str) -> bytes:
    head = b"pocketpref\x01" + vault + struct.pack(">QQ", user, seq)
    return head + bytes([len(kind)]) + kind.encode() + bytes([len(name)]) + name.encode()


def unseal(key: bytes, blob: bytes, where: bytes) -> bytes:
    if blob[0] != 1:
        raise Refused("another sealing")
    plain = AESGCM(key).decrypt(blob[1:13], blob[13:], where)
    (length,) = struct.unpack_from("<I", plain)
    if len(plain) != padded(4 + length) or any(plain[4 + length :]):
        raise Refused("another padding")
    return plain[4 : 4 + length]


# ------------------------------------------------------------------------------------- the set


@dataclass
class State:
    set_key: bytes
    total: int
    count: int
    number: int

    @classmethod
    def parse(cls, content: bytes) -> State:
        set_key, total, count, number = struct.unpack_from("<32s32sQQ", content)
        return cls(set_key, int.from_bytes(total, "little"), count, number)

    def check(self, marks: Iterable[bytes]) -> None:
        hashes = [
            hashlib.blake2b(mark, key=self.set_key, digest_size=32).digest() for mark in marks
        ]
        total = sum(int.from_bytes(digest, "little") for digest in hashes) % 2**256
        if (total, len(hashes)) != (self.total, self.count):
            raise Refused("something is missing, was added or put back")


def record_mark(seq: int, user: int, kind: str, name: str, sealed: bytes) -> bytes:
    head = struct.pack("<QQBB", seq, user, len(kind), len(name))
    return head + kind.encode() + name.encode() + sealed[:HEAD]


def user_mark(number: int, lookup: bytes | None, *blobs: bytes | None) -> bytes:
    parts = [lookup or b"", *((blob or b"")[:HEAD] for blob in blobs)]
    return struct.pack("<Q5B", number, *map(len, parts)) + b"".join(parts)


# ------------------------------------------------------------------------------------- reading


def read(path: Path, secret: bytes | str) -> ReadVault:
    """Everything in a vault; a secret of bytes is a key file's, a text is a passphrase."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        if db.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise Refused("no vault")
        if db.execute("PRAGMA user_version").fetchone() != (FORMAT,):
            raise Refused("another format")
        return _read(db, secret)


def _read(db: sqlite3.Connection, secret: bytes | str) -> ReadVault:
    ((one, vault, custody, wrapped, sealed),) = db.execute("SELECT * FROM header").fetchall()
    assert one == 1
    if isinstance(secret, str):
        master = unwrap_by_passphrase(secret, wrapped, vault)
    else:
        master = unwrap(secret, wrapped, custody, vault)
    where = place(vault, 0, 1, "vault-state", "")
    content = unseal(derive(master, "vault state", vault), sealed, where)
    state = State.parse(content)
    rows = db.execute("SELECT id, lookup, name, key, next, state FROM users").fetchall()
    state.check(user_mark(*row) for row in rows)
    users = dict(_user(db, vault, master, row) for row in rows if row[3] is not None)
    accepted = json.loads(content[80:])["accepted"]
    return ReadVault(vault, custody, state.number, accepted, state.set_key, users)


def _user(
    db: sqlite3.Connection, vault: bytes, master: bytes, row: tuple[Any, ...]
) -> tuple[str, ReadUser]:
    number, lookup, sealed_name, sealed_key, sealed_next, sealed_state = row

    def opened(key: bytes, blob: bytes, kind: str) -> bytes:
        return unseal(key, blob, place(vault, number, number, kind, lookup.hex()))

    name = opened(derive(master, "user names", vault), sealed_name, "user-name").decode()
    if hmac.digest(derive(master, "user look-up", vault), name.encode(), "sha256") != lookup:
        raise Refused("a name that is another's")
    keys = derive(master, "user keys", vault)
    data = opened(keys, sealed_key, "user-key")
    coming = data if sealed_next is None else opened(keys, sealed_next, "user-next")
    state = State.parse(opened(derive(data, "record set"), sealed_state, "user-state"))
    rows = db.execute(
        "SELECT seq, user, kind, id, sealed FROM records WHERE user = ? ORDER BY seq", (number,)
    ).fetchall()
    state.check(record_mark(*each) for each in rows)
    found = ReadUser(rotated_to=state.number)
    for kind, memory_id, content in _records(vault, rows, data, coming, state.number):
        if kind == "memory":
            found.memories[memory_id] = json.loads(content)
        else:
            found.learned[memory_id] = parse_learned(content)
    return name, found


def _records(
    vault: bytes, rows: Iterable[tuple[Any, ...]], data: bytes, coming: bytes, rotated_to: int
) -> Iterator[tuple[str, str, bytes]]:
    for seq, user, kind, memory_id, sealed in rows:
        key = derive(coming if seq <= rotated_to else data, "records")
        yield kind, memory_id, unseal(key, sealed, place(vault, user, seq, kind, memory_id))


def parse_learned(content: bytes) -> tuple[dict[str, Any], np.ndarray]:
    (length,) = struct.unpack_from("<I", content)
    head, content = json.loads(content[4 : 4 + length]), content[4 + length :]
    (length,) = struct.unpack_from("<I", content)
    rest, content = json.loads(content[4 : 4 + length]), content[4 + length :]
    return head | rest, np.frombuffer(content, "<f4")


def read_note(folder: Path, vault: ReadVault) -> int:
    """The generation that was noted outside of the vault."""
    note = (folder / f"{vault.vault_id.hex()}.generation").read_text("ascii")
    digits, mac = note.removesuffix("\n").split(" ")
    key = derive(vault.set_key, "generation", vault.vault_id)
    if not hmac.compare_digest(hmac.digest(key, digits.encode(), "sha256").hex(), mac):
        raise Refused("a note that is another's")
    return int(digits)


# ------------------------------------------------------------------------------------- archives


def read_archive(path: Path, passphrase: str) -> tuple[str, list[tuple[str, dict[str, Any], bool]]]:
    """The user's name; and id, content and whether it was learned, of each memory."""
    content = path.read_bytes()
    magic = b"pocketpref archive 1\n"
    assert content.startswith(magic)
    at = len(magic)
    custody = content[at + 1 : at + 1 + content[at]]
    assert custody == b"passphrase"
    at += 1 + len(custody)
    name = content[at : at + 16]
    (size,) = struct.unpack_from("<H", content, at + 16)
    wrapped, at = content[at + 18 : at + 18 + size], at + 18 + size
    file_key = unwrap_by_passphrase(passphrase, wrapped, name)
    cipher = AESGCM(derive(file_key, "archive", hashlib.sha256(content[:at]).digest()))
    return _frames(b"".join(_chunks(cipher, content[at:])))


def _chunks(cipher: AESGCM, sealed: bytes) -> Iterator[bytes]:
    size = 65536 + 16
    assert len(sealed) % size == 0
    for number in range(len(sealed) // size):
        last = (number + 1) * size == len(sealed)
        nonce = bytes(3) + struct.pack(">QB", number, last)
        yield cipher.decrypt(nonce, sealed[number * size : (number + 1) * size], None)


def _frames(content: bytes) -> tuple[str, list[tuple[str, dict[str, Any], bool]]]:
    user, found, at = "", [], 0
    while content[at] != 0:
        kind, length = struct.unpack_from("<BI", content, at)
        body, at = content[at + 5 : at + 5 + length], at + 5 + length
        if kind == 1:
            user = body.decode()
        elif kind == 2:
            found.append((body[:12].decode(), json.loads(body[12:]), False))
        else:
            parse_learned(body)
            found[-1] = (*found[-1][:2], True)
    assert not any(content[at:])
    return user, found
