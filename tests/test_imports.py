"""Importing pocketpref is quick and loads nothing heavy, whatever is installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

NETWORK = {
    *("httpcore2", "httpx2", "httpx", "h11", "truststore", "anyio", "ssl"),
    *("huggingface_hub", "requests", "urllib3", "aiohttp", "openai", "anthropic"),
}
"""What opens connections, or is a sign of it."""

HEAVY = {
    *("llama_cpp", "onnxruntime", "torch", "tokenizers", "sentence_transformers", "transformers"),
    *NETWORK,
    *("keyring", "rich"),
    *("numpy", "sqlite_utils", "cryptography", "psutil", "click", "jinja2"),
}
"""Model libraries, HTTP clients, and all else that takes time and that an import does not need."""

CEILING = 0.2
"""Seconds that ``import pocketpref`` may take: the one promise here that is measured by a clock."""

LOADED = """
import json, sys
before = set(sys.modules)
{code}
print(json.dumps(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}})))
"""

TIMED = """
import time
began = time.perf_counter()
import pocketpref
print(time.perf_counter() - began)
"""


def child(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_importing_loads_nothing_heavy() -> None:
    """No model library, no HTTP client, no torch: not even numpy."""
    loaded = set(json.loads(child(LOADED.format(code="import pocketpref"))))
    assert "pocketpref" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("name", ["Pocket", "open", "PocketprefError", "personalize"])
def test_a_public_name_loads_no_model_library_and_no_network(name: str) -> None:
    """What is heavy is loaded when a model is first used, not when its user is first named."""
    loaded = set(json.loads(child(LOADED.format(code=f"import pocketpref; pocketpref.{name}"))))
    models = {"llama_cpp", "onnxruntime", "torch", "tokenizers", "sentence_transformers"}
    assert loaded & (models | NETWORK) == set()


def test_remembering_loads_no_model_library(tmp_path, monkeypatch) -> None:
    """``add`` never waits for a model: it does not even load the libraries of one."""
    monkeypatch.setenv("POCKETPREF_KEY_FILE", str(tmp_path / "key"))
    add = "import pocketpref\nwith pocketpref.open() as p: p.add('Why?', 'Because.', 'No idea.')"
    loaded = set(json.loads(child(LOADED.format(code=add))))
    assert "cryptography" in loaded
    assert loaded & {"llama_cpp", "onnxruntime", "torch", "tokenizers"} == set()
    assert loaded & NETWORK == set()


def test_the_search_sees_what_is_loaded() -> None:
    """The tests above can fail."""
    assert "numpy" in json.loads(child(LOADED.format(code="import pocketpref.records")))


def test_importing_is_quick() -> None:
    """Under 0.2 s, the best of five fresh interpreters: others may keep the machine busy."""
    times = [float(child(TIMED)) for _ in range(5)]
    assert min(times) < CEILING
