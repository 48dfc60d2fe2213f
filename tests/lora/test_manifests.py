"""A manifest that is none, or that disagrees with its file, is refused by name before loading."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pocketpref.errors import AdapterError
from pocketpref.lora import Adapter, AdapterManifest, Base


def test_a_manifest_says_what_others_rely_on(adapter: Adapter) -> None:
    """The names of the contract stand at the top, where a program without us finds them."""
    said = json.loads(adapter.manifest.dump())
    assert said["file"] == "one.gguf"
    assert said["sha256"] == adapter.manifest.sha256
    assert said["base_sha256"] == adapter.manifest.base.sha256
    assert (said["rank"], said["alpha"]) == (4, 8.0)
    assert said["targets"] == ["attn_q", "attn_v"]
    assert said["licence"] == "Apache-2.0"
    assert said["recipe"] == "random numbers"
    assert said["held_out"] == {}
    assert AdapterManifest.load(adapter.manifest.dump()) == adapter.manifest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rank": 5}, "says another rank"),
        ({"alpha": 16.0}, "says another alpha"),
        ({"targets": ("attn_q",)}, "says another targets"),
        ({"base": "gemma3"}, "says another architecture"),
        ({"size": 7}, "bytes, not 7"),
        ({"sha256": "0" * 64}, "not the file its manifest means"),
    ],
)
def test_a_manifest_that_disagrees_with_its_file_is_refused_by_name(
    adapter: Adapter, changes: dict[str, Any], message: str
) -> None:
    base = adapter.manifest.base
    if "base" in changes:
        changes = {"base": Base(base.name, base.sha256, changes["base"])}
    with pytest.raises(AdapterError, match=message) as refused:
        replace(adapter.manifest, **changes).check(adapter.data, base.sha256)
    assert "one" in str(refused.value)


def test_a_manifest_for_another_model_says_which_one_it_is_for(adapter: Adapter) -> None:
    with pytest.raises(AdapterError, match="another model") as refused:
        adapter.manifest.check(adapter.data, "0" * 64)
    assert refused.value.hint == "it belongs to starter"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("schema", 2),
        ("schema", True),
        ("name", "\x1b[31m"),
        ("name", ""),
        ("file", "../one.gguf"),
        ("file", "one.txt"),
        ("sha256", "AB" * 32),
        ("base_sha256", "none"),
        ("base_sha256", None),
        ("base", {"name": "starter"}),
        ("architecture", 7),
        ("bytes", 0),
        ("bytes", 10**15),
        ("bytes", 1.0),
        ("rank", 0),
        ("rank", 10**9),
        ("alpha", "8"),
        ("alpha", -1),
        ("alpha", 10**400),
        ("targets", []),
        ("targets", "attn_q"),
        ("targets", ["../attn_q"]),
        ("targets", ["attn_q"] * 65),
        ("licence", None),
        ("recipe", "x" * 1001),
        ("made", []),
        ("held_out", "good"),
    ],
)
def test_a_manifest_that_is_none_is_refused(adapter: Adapter, name: str, value: object) -> None:
    said = json.loads(adapter.manifest.dump())
    AdapterManifest.load(json.dumps(said).encode())
    said[name] = value
    with pytest.raises(AdapterError, match=r"manifest (does not say|is of another version)"):
        AdapterManifest.load(json.dumps(said).encode())
