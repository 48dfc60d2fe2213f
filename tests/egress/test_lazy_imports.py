"""What importing a part of egress loads."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import pocketpref.egress

LOADED = """
import json, sys
{code}
print(json.dumps(sorted(sys.modules)))
"""


def loaded(code: str) -> set[str]:
    """The modules that a fresh process has loaded after running the code."""
    command = [sys.executable, "-c", LOADED.format(code=code)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_a_disclosure_loads_neither_gate_nor_checks() -> None:
    found = loaded("from pocketpref.egress.disclosure import Disclosure")
    assert "pocketpref.egress.disclosure" in found
    absent = {"gate", "dlp", "grants", "audit_log", "preview"}
    assert found & {f"pocketpref.egress.{name}" for name in absent} == set()


def test_a_name_of_the_package_loads_its_home_alone() -> None:
    found = loaded("from pocketpref.egress import Destination, Level")
    assert not {"pocketpref.egress.gate", "pocketpref.egress.dlp"} & found


@pytest.mark.parametrize("name", pocketpref.egress.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(pocketpref.egress, name) is not None
    assert name in dir(pocketpref.egress)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Door'"):
        _ = pocketpref.egress.Door
