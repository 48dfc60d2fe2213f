"""API keys: sealed in the vault, bound to an address, shown to nobody."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import pytest

from pocketpref.backends.http import HttpGenerator
from pocketpref.egress import Destination
from pocketpref.egress.api_keys import ApiKey, ApiKeys, address
from pocketpref.errors import InputError, TamperedError
from pocketpref.protocols import DocumentStore
from tests.backends.http.conftest import Clear
from tests.backends.http.peer import HELLO, answer, serve

SECRET = b"sk-proj-0123456789"
TO = Destination.parse("openai:gpt-5")


def test_a_key_is_for_its_address_whatever_the_model(store: DocumentStore) -> None:
    keys = ApiKeys(store)
    assert keys(TO) is None
    keys.put(TO, ApiKey(SECRET))
    assert bytes(keys(Destination.parse("openai:another-model")) or b"") == SECRET
    assert keys.addresses() == ["https://api.openai.com:443"] == [address(TO)]


@pytest.mark.parametrize(
    "other",
    [
        "anthropic:claude",
        "openai:gpt-5@https://api.openai.com:8443/v1",
        "openai:gpt-5@https://openai.com/v1",
        "openai:gpt-5@https://api.openai.com.evil.test/v1",
        "openai:gpt-5@https://xapi.openai.com/v1",
        "openai:gpt-5@http://localhost:443/v1",
    ],
)
def test_another_address_never_gets_it(store: DocumentStore, other: str) -> None:
    keys = ApiKeys(store)
    keys.put(TO, ApiKey(SECRET))
    assert keys(Destination.parse(other)) is None


def test_it_goes_over_the_wire_to_its_port_and_to_no_other(
    store: DocumentStore, clear: Clear
) -> None:
    keys = ApiKeys(store)
    with serve(answer(HELLO)) as mine, serve(answer(HELLO)) as other:
        keys.put(Destination.parse(f"openai:tiny@{mine.url()}"), ApiKey(SECRET))
        for peer in (mine, other):
            list(HttpGenerator(keys).generate(clear(peer.url())))
        assert b"Authorization: Bearer " + SECRET in mine.requests()[0]
        assert SECRET not in other.requests()[0]


def test_a_new_key_takes_the_place_of_the_old_one(store: DocumentStore) -> None:
    keys = ApiKeys(store)
    other = Destination.parse("anthropic:claude")
    for content in (b"old", b"new"):
        keys.put(TO, ApiKey(content))
        keys.put(other, ApiKey(content + b"er"))
    assert bytes(keys(TO) or b"") == b"new"
    assert bytes(keys(other) or b"") == b"newer"
    assert len(keys.addresses()) == 2


def test_a_removed_key_is_gone(store: DocumentStore) -> None:
    keys = ApiKeys(store)
    keys.put(TO, ApiKey(SECRET))
    assert keys.remove(TO)
    assert not keys.remove(TO)
    assert keys(TO) is None
    assert keys.addresses() == []


def test_nothing_of_it_stands_in_the_files(store: DocumentStore, tmp_path: Path) -> None:
    ApiKeys(store).put(TO, ApiKey(SECRET))
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert all(SECRET not in content and b"api.openai.com" not in content for content in files)


def test_another_person_of_the_vault_does_not_get_it(tmp_path: Path) -> None:
    from pocketpref.vault import Vault
    from pocketpref.vault.crypto.key_stores import KeyFile

    with Vault.create(tmp_path / "v.db", KeyFile.make(tmp_path / "k")) as vault:
        ApiKeys(vault.store("ada")).put(TO, ApiKey(SECRET))
        assert ApiKeys(vault.store("bob"))(TO) is None


def test_it_shows_itself_to_nobody() -> None:
    key = ApiKey(SECRET)
    assert "sk-" not in f"{key!r} {key}"
    assert not hasattr(key, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize(
    "content",
    [b"key\n", b"key\r\n", b"  key  \n", b"key\nsecond line\n", b"key"],
)
def test_the_first_line_of_a_file_is_the_key(content: bytes) -> None:
    assert bytes(ApiKey.read(io.BytesIO(content))) == b"key"
    assert bytes(ApiKey.typed(" key ")) == b"key"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff", b"x" * 4097, b"a\x00b"])
def test_what_is_no_key_is_refused_and_not_repeated(content: bytes) -> None:
    for make in (ApiKey, lambda given: ApiKey.read(io.BytesIO(given))):
        with pytest.raises(InputError) as caught:
            make(content)
        assert caught.value.__context__ is None
        assert "words" not in str(caught.value)
    with pytest.raises(InputError):
        ApiKey.typed("schlüssel\ud800")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"address": 1}', b'{"address": "a", "key": 5}', b"\xff"]
)
def test_a_document_that_is_none_is_named(store: DocumentStore, content: bytes) -> None:
    with store.changing() as documents:
        documents.insert("api-key", content)
    with pytest.raises(TamperedError):
        ApiKeys(store)(TO)
