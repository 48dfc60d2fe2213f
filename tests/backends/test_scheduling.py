"""How threads of OpenMP wait for each other, as its runtime says it when it is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pocketpref.backends.scheduling import WAITING

LOADS = {
    "the model": """
from pocketpref.backends.llama.bindings import library
library()
""",
    "the tensors first": """
import sys
from pathlib import Path
from pocketpref.backends.llama.gguf_tensors import Tensors
Tensors(Path(sys.argv[1])).close()
""",
}


def said(code: str, argument: str, **environment: str) -> dict[str, str]:
    """What GNU's OpenMP read in a process of its own, which is left with a clean environment."""
    bare = {name: value for name, value in os.environ.items() if name not in WAITING}
    check = f"{code}\nimport os\nprint([n for n in {list(WAITING)} if n in os.environ])"
    ran = subprocess.run(
        [sys.executable, "-c", check, argument],
        env={**bare, "OMP_DISPLAY_ENV": "VERBOSE", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == str(list(environment))  # nothing is left for programs we start
    shown = (line.strip().removeprefix("[host]").strip() for line in ran.stderr.splitlines())
    found = dict(line.replace("'", "").split(" = ", 1) for line in shown if " = " in line)
    if "GOMP_SPINCOUNT" not in found:
        pytest.skip("llama.cpp computes without GNU's OpenMP here")
    return found


@pytest.mark.parametrize("code", LOADS.values(), ids=LOADS)
def test_threads_spin_for_a_moment_and_then_sleep(code: str, starter_path: object) -> None:
    """Whatever is loaded first."""
    found = said(code, str(starter_path))
    assert found["OMP_WAIT_POLICY"] == "PASSIVE"
    assert found["GOMP_SPINCOUNT"] == "300"


@pytest.mark.parametrize("name", WAITING)
def test_what_the_user_has_said_stands(name: str, starter_path: object) -> None:
    value = {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "7"}[name]
    found = said(LOADS["the model"], str(starter_path), **{name: value})
    assert found[name].lower() == value
    assert found["GOMP_SPINCOUNT"] != "300"
