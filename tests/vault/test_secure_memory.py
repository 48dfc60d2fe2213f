"""A key in memory is wiped in time, stays out of the swap, of core dumps and of other processes."""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketpref.errors import VaultError
from pocketpref.vault.crypto.key_stores import EphemeralKey, KeyFile
from pocketpref.vault.crypto.secure_memory import Secret
from tests.cores import PERMIT, leaves_core_files

linux = pytest.mark.skipif(sys.platform != "linux", reason="seen through /proc")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork there")

CONTENT = bytes(range(100, 132))


def child(code: str, *arguments: str) -> str:
    """What a program of its own prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def smaps(secret: Secret) -> dict[str, str]:
    """What Linux says of the page that a secret lies on."""
    view = secret.view()
    address = ctypes.c_size_t()
    buffer = (ctypes.c_byte * 128)()  # a Py_buffer, whose first member is the address
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(view), buffer, 0)
    ctypes.memmove(ctypes.byref(address), buffer, ctypes.sizeof(address))
    ctypes.pythonapi.PyBuffer_Release(buffer)
    blocks, here = {}, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            low, high = (int(end, 16) for end in name.split("-"))
            here = low <= address.value < high
        elif here:
            blocks[name.rstrip(":")] = rest.strip()
    return blocks


def test_it_holds_what_it_took():
    secret = Secret.taking(CONTENT)
    assert bytes(secret) == bytes(secret.view()) == CONTENT
    assert len(secret) == 32


def test_random_ones_differ():
    one, other = Secret.random(), Secret.random()
    assert len(one) == len(Secret.random(32)) == 32
    assert bytes(one) != bytes(other)
    assert len(Secret.random(5)) == 5


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 100_000])
def test_any_length_is_held(size):
    content = os.urandom(size)
    with Secret.taking(content) as secret:
        assert bytes(secret) == content


def test_a_bytearray_is_wiped_at_its_old_place():
    content = bytearray(CONTENT)
    secret = Secret.taking(content)
    assert content == bytes(32)
    assert bytes(secret) == CONTENT


def test_nothing_writes_into_it():
    secret = Secret.taking(CONTENT)
    with pytest.raises(TypeError):
        secret.view()[0] = 1


def test_it_shows_nothing():
    secret = Secret.taking(b"horse battery staple, in ASCII...")
    assert "horse" not in repr(secret) + str(secret) + f"{secret}"
    assert "horse" not in repr(vars(EphemeralKey()))


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_never_copied(take):
    with pytest.raises(TypeError, match="never"):
        take(Secret.random())


# --------------------------------------------------------------------------------------- wiping


def test_wiping_overwrites_it_and_it_is_gone():
    secret = Secret.taking(CONTENT)
    rest = secret.view()[:]  # a slice outlives the view, and shows what is in the memory now
    secret.wipe()
    secret.wipe()
    assert bytes(rest) == bytes(32)
    for use in (bytes, len, Secret.view):
        with pytest.raises(VaultError, match="no longer in memory") as caught:
            use(secret)
        assert caught.value.hint


def test_whoever_still_holds_the_view_is_told():
    secret = Secret.taking(CONTENT)
    view = secret.view()
    secret.wipe()
    with pytest.raises(ValueError, match="released"):
        bytes(view)


def test_the_end_of_a_with_statement_wipes_it():
    with pytest.raises(RuntimeError), Secret.taking(CONTENT) as secret:  # noqa: PT012 - both matter
        rest = secret.view()[:]
        raise RuntimeError
    assert bytes(rest) == bytes(32)


def test_it_is_wiped_when_nobody_refers_to_it():
    secret = Secret.taking(CONTENT)
    rest = secret.view()[:]
    del secret
    gc.collect()
    assert bytes(rest) == bytes(32)


def test_it_is_wiped_when_the_program_ends():
    code = """
import atexit
atexit.register(lambda: print(bytes(rest) == bytes(32)))  # the first registered is the last called
from pocketpref.vault.crypto.secure_memory import Secret
secret = Secret.taking(bytes(range(100, 132)))
rest = secret.view()[:]
"""
    assert child(code) == "True"


def test_a_cipher_never_works_with_a_key_of_zeros():
    """If it has copied the key it goes on with that; if it has not it fails."""
    secret, nonce = Secret.taking(CONTENT), bytes(12)
    cipher = AESGCM(secret.view())
    secret.wipe()
    try:
        sealed = cipher.encrypt(nonce, b"text", None)
    except ValueError:
        return
    assert AESGCM(CONTENT).decrypt(nonce, sealed, None) == b"text"


def test_key_stores_keep_no_secret_longer_than_a_call(tmp_path, monkeypatch):
    made = []
    first = Secret.__init__
    monkeypatch.setattr(
        Secret, "__init__", lambda self, content: (first(self, content), made.append(self))[0]
    )
    key = KeyFile.make(tmp_path / "key")
    assert key.unwrap(key.wrap(CONTENT, b"vault"), b"vault") == CONTENT
    assert len(made) == 2
    for secret in made:
        with pytest.raises(VaultError):
            secret.view()


# ------------------------------------------------------------------------- swap, dumps, children


@linux
def test_its_page_is_locked_and_left_out_of_dumps():
    secret = Secret.taking(CONTENT)
    page = smaps(secret)
    flags = page["VmFlags"].split()
    assert "dd" in flags, "not dumped"
    assert ("lo" in flags) == secret.locked
    assert page["Size"] == "4 kB" or os.sysconf("SC_PAGESIZE") > 4096, "a page of its own"


@linux
def test_where_the_system_refuses_to_lock_it_is_said_and_all_else_works():
    code = """
import os, resource
from pocketpref.vault.crypto.secure_memory import Secret
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
if os.getuid() == 0:
    os.setuid(65534)  # root may lock whatever the limit says
with Secret.taking(b"content") as secret:
    print(secret.locked, bytes(secret))
"""
    assert child(code) == "False b'content'"


@linux
def test_under_a_usual_limit_it_is_locked():
    code = "from pocketpref.vault.crypto.secure_memory import Secret; print(Secret.random().locked)"
    assert child(code) == "True"


@forks
def test_a_forked_child_does_not_have_it_and_the_parent_keeps_it():
    code = """
import os, sys
from pocketpref.errors import VaultError
from pocketpref.vault.crypto.secure_memory import Secret
secret = Secret.taking(b"content")
rest = secret.view()[:]
if os.fork() == 0:
    try:
        secret.view()
    except VaultError:
        os._exit(0 if bytes(rest) == bytes(7) else 2)
    os._exit(1)
print(os.waitstatus_to_exitcode(os.wait()[1]), bytes(secret) == bytes(rest) == b"content")
"""
    assert child(code) == "0 True"


@linux
def test_a_core_dump_does_not_hold_it(tmp_path):
    """A real dump of a process that has one secret in a Secret and one elsewhere."""
    if not leaves_core_files(tmp_path):
        pytest.skip("this system keeps no core file in the working folder")
    code = """
import os
from pocketpref.vault.crypto.secure_memory import Secret
kept, elsewhere = bytearray(64), bytearray(64)
for place in range(64):  # made in place, so that no other copy is left in the memory
    kept[place], elsewhere[place] = (place * 37 + 11) % 251, (place * 41 + 13) % 241
secret = Secret.taking(kept)
os.abort()
"""
    folder = tmp_path / "dump"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", PERMIT + code], cwd=folder, check=False)
    (core,) = folder.iterdir()
    dump = core.read_bytes()
    assert bytes((place * 41 + 13) % 241 for place in range(64)) in dump, "the search can find"
    assert bytes((place * 37 + 11) % 251 for place in range(64)) not in dump
