"""What loading the embedder does to a process and to a home folder; each in a fresh process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pocketpref
from pocketpref.models.bundled import models_folder

ROOT = Path(pocketpref.__file__).parent.parent
EMBED = (
    "from pocketpref.backends.onnx import embedder as onnx; "
    "onnx.open_embedder().embed(['Explain DNS'])"
)


def _python(code: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run code in an empty home, without ``CI``, which would keep the telemetry quiet."""
    home.mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "SYSTEMROOT", "LD_LIBRARY_PATH"}}
    homes = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"), str(home))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=home,  # not the checkout, which -c would put first on the path
        env=kept | homes | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_embedding_writes_nothing_into_the_home_folder(tmp_path: Path) -> None:
    result = _python(f"{EMBED}; assert onnx.telemetry_note() is None", tmp_path / "home")
    assert result.returncode == 0, result.stderr
    assert result.stdout == result.stderr == ""
    assert _files(tmp_path / "home") == []


@pytest.mark.skipif(sys.platform != "linux", reason="where the files lie is known on Linux")
def test_the_home_folder_would_show_telemetry_if_there_were_any(tmp_path: Path) -> None:
    """The test above can fail: onnxruntime by itself leaves a device id and a database there."""
    version = _python("import onnxruntime; print(onnxruntime.__version__)", tmp_path / "other")
    major, minor = map(int, version.stdout.split(".")[:2])
    if (major, minor) < (1, 29):
        pytest.skip(f"onnxruntime {version.stdout.strip()} has no telemetry on Linux")
    model = models_folder() / "all-MiniLM-L6-v2" / "model.onnx"
    code = f"import onnxruntime; onnxruntime.InferenceSession({str(model)!r})"
    _python(code, tmp_path / "home")
    assert _files(tmp_path / "home")


def test_a_host_program_that_loaded_onnxruntime_first_is_told_once(tmp_path: Path) -> None:
    code = f"""
import json, warnings, onnxruntime
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    {EMBED}
    onnx.open_embedder()
print(json.dumps([[str(w.message) for w in caught], onnx.telemetry_note()]))
"""
    result = _python(code, tmp_path)
    warned, note = json.loads(result.stdout)
    assert warned == [note]
    assert "ORT_DISABLE_TELEMETRY=1" in note


def test_a_host_program_that_turned_telemetry_off_itself_is_told_nothing(tmp_path: Path) -> None:
    code = f"import onnxruntime; {EMBED}; print(onnx.telemetry_note())"
    result = _python(code, tmp_path, ORT_DISABLE_TELEMETRY="1")
    assert result.stdout.strip() == "None"
    assert result.stderr == ""


def test_importing_the_module_loads_no_model_library(tmp_path: Path) -> None:
    heavy = ["onnxruntime", "tokenizers", "huggingface_hub", "sentence_transformers", "torch"]
    code = f"""
import sys, pocketpref.backends.onnx.embedder
print([name for name in {heavy} if name in sys.modules])
"""
    assert _python(code, tmp_path).stdout.strip() == "[]"


def test_a_missing_onnxruntime_is_named_with_the_extras_that_bring_it(tmp_path: Path) -> None:
    code = f"""
import sys; sys.modules["onnxruntime"] = None
from pocketpref.errors import ModelMissingError
try:
    {EMBED}
except ModelMissingError as error:
    print(error.message, "|", error.hint)
"""
    out = _python(code, tmp_path).stdout
    assert "onnxruntime is not installed" in out
    assert "pocketpref[cpu]" in out
    assert "pocketpref[gpu]" in out


def test_an_installed_package_finds_its_models_inside_itself(tmp_path: Path) -> None:
    package = tmp_path / "site" / "pocketpref"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "pocketpref", package, ignore=ignored)
    shutil.copytree(models_folder(), package / "_models")
    code = f"{EMBED}; print(onnx.models_folder())"
    result = _python(code, tmp_path / "home", PYTHONPATH=str(tmp_path / "site"))
    assert result.stdout.strip() == str(package / "_models"), result.stderr
