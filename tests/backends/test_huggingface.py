"""Fetching models, against a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from pocketpref.backends.huggingface import pull
from pocketpref.errors import (
    InputError,
    ModelDamagedError,
    ModelError,
    ModelMissingError,
    ModelUnsupportedError,
)
from pocketpref.models import Catalogue
from pocketpref.models.registry import parse_handle
from tests.backends.hub_server import REPO, REVISION, Hub, serve

CHUNK = 10 * 1024 * 1024  # what huggingface_hub writes at once
FILE = "tiny-Q4_K_M.gguf"
HANDLE = f"hf:{REPO}:Q4_K_M"


def _gguf(size: int) -> bytes:
    """A GGUF header with noise behind it."""
    return struct.pack("<4sIQQ", b"GGUF", 3, 5, 7) + random.Random(size).randbytes(size - 24)


SMALL, LARGE = _gguf(100_000), _gguf(2 * CHUNK + 5_000_000)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    files = {"README.md": b"# tiny", FILE: SMALL, "tiny-Q8_0.gguf": _gguf(50_000)}
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serve(Hub(files)) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "models"


def _pulling(into: Path) -> str:
    """The program that pulls the model, for a process of its own."""
    return f"""
from pathlib import Path
from pocketpref.backends.huggingface import pull
pull({HANDLE!r}, Path({str(into)!r}))
"""


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_file_of_a_quantization_is_fetched_and_recorded(hub: Hub, into: Path) -> None:
    path = pull(HANDLE, into)
    assert path.read_bytes() == SMALL
    catalogue = Catalogue(into)
    entry = catalogue.find(HANDLE)
    assert entry.path == path
    assert entry.origin == f"hf:{REPO}/{FILE}@{REVISION}"
    assert catalogue.digest(entry) == hashlib.sha256(SMALL).hexdigest() == entry.sha256


def test_progress_runs_from_nothing_to_everything(hub: Hub, into: Path) -> None:
    hub.files[FILE] = LARGE
    seen: list[tuple[int, int]] = []
    pull(HANDLE, into, lambda here, total: seen.append((here, total)))
    assert seen[0] == (0, len(LARGE))
    assert seen[-1] == (len(LARGE), len(LARGE))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)
    assert len(seen) >= 4


def test_a_second_call_downloads_nothing(hub: Hub, into: Path) -> None:
    assert pull(HANDLE, into) == pull(HANDLE, into)
    assert len(hub.downloads()) == 1


def test_a_changed_file_is_fetched_again(hub: Hub, into: Path) -> None:
    path = pull(HANDLE, into)
    path.write_bytes(SMALL[:-1] + b"x")
    assert pull(HANDLE, into).read_bytes() == SMALL


def test_an_interrupted_download_goes_on_where_it_ended(hub: Hub, into: Path) -> None:
    hub.files[FILE] = LARGE

    def interrupt(here: int, total: int) -> None:
        if here > CHUNK:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(HANDLE, into, interrupt)
    assert not any(path.suffix == ".gguf" for path in into.iterdir())
    begin: list[int] = []
    path = pull(HANDLE, into, lambda here, _: begin.append(here))
    assert path.read_bytes() == LARGE
    assert begin[0] == CHUNK
    assert hub.downloads()[1]["range"] == f"bytes={CHUNK}-"
    assert _names(into) == sorted([path.name, f"{path.name}.json"])


def test_a_killed_download_goes_on_where_it_ended(hub: Hub, into: Path) -> None:
    hub.files[FILE] = LARGE
    hub.stall_after = CHUNK + 1_000_000
    child = subprocess.Popen([sys.executable, "-c", _pulling(into)])
    try:
        assert hub.stalled.wait(20)
        _wait_for_size(into, CHUNK, child)
    finally:
        child.kill()
        child.wait()
    hub.stall_after = None
    assert pull(HANDLE, into).read_bytes() == LARGE
    assert hub.downloads()[1]["range"] == f"bytes={CHUNK}-"


def _wait_for_size(folder: Path, size: int, child: subprocess.Popen[bytes]) -> None:
    while not any(path.stat().st_size >= size for path in folder.glob(".*.partial")):
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.05)


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, into: Path) -> None:
    hub.files[FILE] = LARGE
    hub.cut_after = [CHUNK + 1_000_000]
    assert pull(HANDLE, into).read_bytes() == LARGE
    assert hub.downloads()[1]["range"] == f"bytes={CHUNK}-"


def test_a_server_that_ignores_ranges_gives_the_whole_file_again(hub: Hub, into: Path) -> None:
    hub.files[FILE], hub.ranges, hub.cut_after = LARGE, False, [CHUNK + 1_000_000]
    assert pull(HANDLE, into).read_bytes() == LARGE


def test_content_that_was_not_announced_is_refused(hub: Hub, into: Path) -> None:
    hub.announced[FILE] = hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(ModelDamagedError, match="sha256"):
        pull(HANDLE, into)
    assert _names(into) == []


def test_a_damaged_rest_does_not_outlive_its_refusal(hub: Hub, into: Path) -> None:
    """The start of a file from elsewhere is thrown away, so that the next try succeeds."""
    hub.files[FILE], hub.cut_after = LARGE, []
    digest = hashlib.sha256(LARGE).hexdigest()
    into.mkdir()
    (into / f".acme--tiny-GGUF--{FILE}.{digest[:16]}.partial").write_bytes(b"\0" * CHUNK)
    with pytest.raises(ModelDamagedError):
        pull(HANDLE, into)
    assert pull(HANDLE, into).read_bytes() == LARGE


def test_a_file_that_is_no_gguf_is_refused(hub: Hub, into: Path) -> None:
    hub.files[FILE] = b"<html>please log in</html>" * 100
    with pytest.raises(ModelDamagedError, match="no GGUF"):
        pull(HANDLE, into)
    assert _names(into) == []


def test_a_full_disk_is_noticed_before_anything_is_fetched(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(into.parent)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match="GiB"):
        pull(HANDLE, into)
    assert hub.downloads() == []


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ((404, "RepoNotFound"), "has no model"),
        ((401, "RepoNotFound"), "has no model"),
        ((403, "GatedRepo"), "licence"),
        ((500, ""), "500"),
    ],
)
def test_refusals_of_the_hub_are_told_with_a_hint(
    hub: Hub, into: Path, status: tuple[int, str], message: str
) -> None:
    hub.status = status
    with pytest.raises(ModelMissingError, match=message) as caught:
        pull(HANDLE, into)
    assert caught.value.hint
    assert _names(into) == []


def test_a_hub_that_cannot_be_reached_is_told_with_a_hint(
    into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelMissingError, match="cannot reach") as caught:
        pull(HANDLE, into)
    assert "models ls" in str(caught.value.hint)


def test_a_quantization_that_is_not_there_lists_those_that_are(hub: Hub, into: Path) -> None:
    with pytest.raises(ModelMissingError) as caught:
        pull(f"hf:{REPO}:Q2_K", into)
    assert FILE in str(caught.value.hint)


def test_an_old_client_library_is_named(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "__version__", "0.36.2")
    with pytest.raises(ModelUnsupportedError, match=r"0\.36\.2"):
        pull(HANDLE, into)


def test_what_the_hub_learns_is_the_name_of_the_file(hub: Hub, into: Path, tmp_path: Path) -> None:
    """Two requests, one plain name for ourselves, no saved token, nothing written beside."""
    home = tmp_path / "hf"
    home.mkdir()
    (home / "token").write_text("hf_secret")
    environ = {k: v for k, v in os.environ.items() if k not in {"CI", "HF_TOKEN"}}
    run = subprocess.run(
        [sys.executable, "-c", _pulling(into)],
        env=environ | {"HF_HOME": str(home)},
        check=True,
        capture_output=True,
    )
    assert run.stdout == run.stderr == b""
    paths = [path for _, path, _ in hub.requests]
    assert paths == [
        f"/api/models/{REPO}?blobs=true",
        f"/{REPO}/resolve/{REVISION}/{FILE}",
    ]
    for _, _, headers in hub.requests:
        assert headers["user-agent"] == "pocketpref"
        assert "authorization" not in headers
        assert "python" not in str(headers).lower()
    assert _names(home) == ["token"]


def test_a_token_that_was_set_is_sent(
    hub: Hub, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    pull(HANDLE, into)
    assert {headers["authorization"] for _, _, headers in hub.requests} == {"Bearer hf_mine"}


def test_offline_mode_is_told_with_a_hint(hub: Hub, into: Path) -> None:
    code = f"""
from pathlib import Path
from pocketpref.backends.huggingface import pull
from pocketpref.errors import ModelMissingError
try:
    pull({HANDLE!r}, Path({str(into)!r}))
except ModelMissingError as error:
    print(error.hint)
"""
    environ = os.environ | {"HF_HUB_OFFLINE": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environ, check=True, capture_output=True)
    assert b"models ls" in run.stdout
    assert hub.requests == []


@pytest.mark.parametrize("handle", ["starter", "hf:acme", "hf:acme/x/../y.gguf", "hf:a/b:", "x"])
def test_other_handles_are_refused(handle: str, into: Path) -> None:
    with pytest.raises(InputError):
        pull(handle, into)


FILES = [
    "m-Q4_K_M.gguf",
    "m-Q4_K_S.gguf",
    "m.q8_0.gguf",
    "mmproj-m-Q4_K_M.gguf",
    "big/m-F16-00001-of-00002.gguf",
    "big/m-F16-00002-of-00002.gguf",
    "config.json",
]


@pytest.mark.parametrize(
    ("handle", "file"),
    [
        ("hf:a/b", "m-Q4_K_M.gguf"),
        ("hf:a/b:q4_k_m", "m-Q4_K_M.gguf"),
        ("hf:a/b:Q8_0", "m.q8_0.gguf"),
        ("hf:a/b/m-Q4_K_S.gguf", "m-Q4_K_S.gguf"),
    ],
)
def test_a_handle_means_one_file(handle: str, file: str) -> None:
    assert parse_handle(handle).choose(FILES) == file


@pytest.mark.parametrize("handle", ["hf:a/b:Q4", "hf:a/b:Q4_K", "hf:a/b/other.gguf"])
def test_a_handle_that_means_no_file_says_which_there_are(handle: str) -> None:
    with pytest.raises(ModelMissingError) as caught:
        parse_handle(handle).choose(FILES)
    assert "m-Q4_K_S.gguf" in str(caught.value.hint)


def test_a_model_in_several_files_is_not_supported() -> None:
    with pytest.raises(ModelUnsupportedError, match="2 files"):
        parse_handle("hf:a/b:F16").choose(FILES)
