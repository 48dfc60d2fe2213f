"""Each key store opens what it wrapped, and nothing else does."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from pocketpref.errors import (
    InputError,
    KeyMissingError,
    StorageError,
    TamperedError,
    WrongKeyError,
)
from pocketpref.protocols import KeyStore
from pocketpref.vault.crypto.key_stores import Argon2Cost, EphemeralKey, KeyFile, Passphrase, unlock
from tests.vault.making import QUICK

MASTER = bytes(range(32))
VAULT = b"0123456789abcdef"

posix = pytest.mark.skipif(os.name == "nt", reason="modes mean nothing on Windows")


def passphrase(text: str = "correct horse", cost: Argon2Cost = QUICK) -> Passphrase:
    return Passphrase(lambda: text, cost)


@pytest.fixture(params=["key-file", "passphrase", "ephemeral"])
def keystore(request, tmp_path: Path) -> KeyStore:
    made = {
        "key-file": lambda: KeyFile.make(tmp_path / "key"),
        "passphrase": passphrase,
        "ephemeral": EphemeralKey,
    }
    return made[request.param]()


@pytest.fixture(params=["key-file", "passphrase", "ephemeral"])
def stranger(request, tmp_path: Path) -> KeyStore:
    made = {
        "key-file": lambda: KeyFile.make(tmp_path / "another key"),
        "passphrase": lambda: passphrase("wrong horse"),
        "ephemeral": EphemeralKey,
    }
    return made[request.param]()


def test_each_is_a_key_store(keystore):
    assert isinstance(keystore, KeyStore)
    assert keystore.kind in {"key-file", "passphrase", "ephemeral"}


def test_what_it_wrapped_it_unwraps(keystore):
    assert keystore.unwrap(keystore.wrap(MASTER, VAULT), VAULT) == MASTER


def test_the_wrapped_key_hides_the_key_and_is_never_twice_the_same(keystore):
    one, other = keystore.wrap(MASTER, VAULT), keystore.wrap(MASTER, VAULT)
    assert MASTER[:8] not in one
    assert one != other


def test_another_store_does_not_unwrap_it(keystore, stranger):
    with pytest.raises((WrongKeyError, TamperedError)):
        stranger.unwrap(keystore.wrap(MASTER, VAULT), VAULT)


def test_it_does_not_fit_another_vault(keystore):
    with pytest.raises(WrongKeyError):
        keystore.unwrap(keystore.wrap(MASTER, VAULT), b"fedcba9876543210")


def test_every_flipped_byte_of_a_wrapped_key_is_noticed(keystore):
    wrapped = keystore.wrap(MASTER, VAULT)
    for place in range(len(wrapped)):
        flipped = bytearray(wrapped)
        flipped[place] ^= 0x40
        with pytest.raises((WrongKeyError, TamperedError)):
            keystore.unwrap(bytes(flipped), VAULT)


@pytest.mark.parametrize("length", [0, 1, 5, 12, 13, 30, 60])
def test_a_truncated_wrapped_key_is_refused(keystore, length):
    with pytest.raises((WrongKeyError, TamperedError)):
        keystore.unwrap(keystore.wrap(MASTER, VAULT)[:length], VAULT)


@posix
def test_a_key_file_is_readable_for_its_owner_alone(tmp_path):
    key = KeyFile.make(tmp_path / "folder" / "key")
    assert key.path.stat().st_mode & 0o777 == 0o600
    assert key.path.parent.stat().st_mode & 0o777 == 0o700
    assert "may read" not in key.describe()


@posix
def test_a_key_file_that_others_can_read_is_told_of(tmp_path):
    key = KeyFile.make(tmp_path / "key")
    key.path.chmod(0o644)
    assert "may read" in key.describe()


def test_making_a_key_file_never_replaces_one(tmp_path):
    first = KeyFile.make(tmp_path / "key").path.read_bytes()
    with pytest.raises(InputError) as caught:
        KeyFile.make(tmp_path / "key")
    assert caught.value.hint
    assert (tmp_path / "key").read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_two_key_files_differ(tmp_path):
    one, other = KeyFile.make(tmp_path / "one"), KeyFile.make(tmp_path / "other")
    assert one.path.read_bytes() != other.path.read_bytes()


def test_a_key_file_survives_an_editor_that_adds_a_line_break(tmp_path):
    key = KeyFile.make(tmp_path / "key")
    wrapped = key.wrap(MASTER, VAULT)
    key.path.write_bytes(key.path.read_bytes().strip() + b"\r\n\r\n")
    assert key.unwrap(wrapped, VAULT) == MASTER


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(KeyMissingError, match="nowhere"):
        KeyFile(tmp_path / "nowhere").wrap(MASTER, VAULT)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"pocketpref-key-1:", b"pocketpref-key-1:AAAA", b"A" * 44, b"x" * 5_000_000],
    ids=["empty", "no ASCII", "no secret", "a short secret", "no prefix", "too long"],
)
def test_a_file_that_is_no_key_file_is_refused(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(WrongKeyError, match="no pocketpref key file"):
        KeyFile(tmp_path / "key").unwrap(b"", VAULT)


def test_a_key_file_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError):
        KeyFile.make(tmp_path / "file" / "key")


def test_the_cost_of_a_passphrase_is_stated_with_the_wrapped_key():
    wrapped = passphrase(cost=Argon2Cost(128, 2, 1)).wrap(MASTER, VAULT)
    assert struct.unpack_from("<III", wrapped) == (128, 2, 1)
    assert passphrase(cost=QUICK).unwrap(wrapped, VAULT) == MASTER


def test_the_default_cost_is_that_of_rfc_9106():
    cost = Argon2Cost()
    assert (cost.memory_kib, cost.passes, cost.lanes) == (65536, 3, 4)
    key = Passphrase(lambda: "correct horse")
    assert key.describe() == "passphrase (Argon2id, 64 MiB, 3 passes)"
    assert key.unwrap(key.wrap(MASTER, VAULT), VAULT) == MASTER


@pytest.mark.parametrize(
    "cost",
    [(2**32 - 1, 3, 4), (65536, 2**31, 4), (65536, 3, 1000), (0, 3, 1), (8, 0, 1), (8, 1, 0)],
)
def test_a_cost_meant_to_exhaust_the_machine_is_refused_at_once(cost):
    wrapped = passphrase().wrap(MASTER, VAULT)
    with pytest.raises(TamperedError, match="bounds"):
        passphrase().unwrap(struct.pack("<III", *cost) + wrapped[12:], VAULT)


def test_nobody_is_asked_for_a_passphrase_that_cannot_help():
    asked = []
    key = Passphrase(lambda: asked.append(1) or "correct horse", QUICK)
    for damaged in (b"", b"\xff" * 12 + passphrase().wrap(MASTER, VAULT)[12:]):
        for use in (key.unwrap, key.unwrap_and_renew):
            with pytest.raises(TamperedError):
                use(damaged, VAULT)
    assert asked == []


# ------------------------------------------------------------------------------ a cost that grows


class Person:
    """Types the same passphrase whenever asked, and counts how often."""

    def __init__(self, text: str = "correct horse") -> None:
        self.text, self.asked = text, 0

    def __call__(self) -> str:
        self.asked += 1
        return self.text


def stated_cost(wrapped: bytes) -> tuple[int, int, int]:
    return struct.unpack_from("<III", wrapped)


@pytest.mark.parametrize(
    ("old", "own", "outdated", "new"),
    [
        ((64, 1, 1), (64, 1, 1), False, None),
        ((64, 1, 1), (64, 1, 2), False, None),
        ((128, 2, 1), (64, 1, 1), False, None),
        ((64, 1, 1), (128, 1, 1), True, (128, 1, 1)),
        ((64, 1, 1), (64, 2, 1), True, (64, 2, 1)),
        ((128, 1, 1), (64, 2, 4), True, (128, 2, 4)),
        ((64, 1, 1), (65536, 3, 4), True, (65536, 3, 4)),
    ],
)
def test_a_wrapping_that_is_too_cheap_is_made_dearer_and_nothing_gets_cheaper(
    old, own, outdated, new
):
    person = Person()
    wrapped = passphrase(cost=Argon2Cost(*old)).wrap(MASTER, VAULT)
    key = Passphrase(person, Argon2Cost(*own))
    assert key.outdated(wrapped) == outdated
    master, better = key.unwrap_and_renew(wrapped, VAULT)
    assert (master, person.asked) == (MASTER, 1), "asked once for both"
    assert (better and stated_cost(better)) == new
    if better is not None:
        assert better[12:28] != wrapped[12:28], "a fresh salt"
        assert key.unwrap_and_renew(better, VAULT) == (MASTER, None)
        assert passphrase(cost=QUICK).unwrap(better, VAULT) == MASTER


def test_a_wrong_passphrase_renews_nothing():
    wrapped = passphrase().wrap(MASTER, VAULT)
    with pytest.raises(WrongKeyError):
        passphrase("wrong horse", Argon2Cost(128, 1, 1)).unwrap_and_renew(wrapped, VAULT)


def test_whatever_the_key_store_is_a_master_key_is_unlocked(keystore, stranger):
    wrapped = keystore.wrap(MASTER, VAULT)
    master, better = unlock(keystore, wrapped, VAULT)
    assert (bytes(master), better) == (MASTER, None)
    with pytest.raises((WrongKeyError, TamperedError)):
        unlock(stranger, wrapped, VAULT)


def test_unlocking_renews_a_passphrase_of_old_cost():
    wrapped = passphrase(cost=QUICK).wrap(MASTER, VAULT)
    master, better = unlock(passphrase(cost=Argon2Cost(128, 2, 1)), wrapped, VAULT)
    assert bytes(master) == MASTER
    assert better is not None
    assert stated_cost(better) == (128, 2, 1)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33)])
def test_a_master_key_of_another_length_is_damaged(keystore, wrong):
    with pytest.raises(TamperedError, match="damaged"):
        unlock(keystore, keystore.wrap(wrong, VAULT), VAULT)


# ---------------------------------------------------------------------------------- passphrases


def test_one_passphrase_typed_in_two_normal_forms_is_the_same():
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    wrapped = passphrase(composed).wrap(MASTER, VAULT)
    assert passphrase(decomposed).unwrap(wrapped, VAULT) == MASTER


def test_an_empty_passphrase_is_no_key():
    with pytest.raises(KeyMissingError):
        passphrase("").wrap(MASTER, VAULT)


def test_no_key_store_shows_its_secret(keystore, tmp_path):
    secret = (tmp_path / "key").read_text().strip() if keystore.kind == "key-file" else "horse"
    shown = repr(keystore) + str(keystore) + keystore.describe()
    assert secret not in shown
    assert "horse" not in shown
