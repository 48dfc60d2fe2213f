"""``learn`` may be killed at any moment: resumed, it ends with the very index of a quiet run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pocketpref.backends.llama import LlamaModel
from pocketpref.pocket import Pocket
from tests.promises.real import real_pocket, vault_in
from tests.promises.workers import (
    ExactSettings,
    bank,
    llama_pocket,
    scripted_pairs,
    scripted_pocket,
)

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="SIGKILL is POSIX; Windows ends a process in other ways"
)

REAL_PAIRS = (
    ("Why is the sky blue?", "Air scatters blue light.", "Well, ha ha, who knows!"),
    ("How do tides work?", "Oh, that is a long story.", "The moon pulls the water."),
)


@contextmanager
def learning(kind: str, folder: Path, more: object) -> Iterator[subprocess.Popen[str]]:
    """A process that is about to learn."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.promises.workers", kind, str(folder), str(more)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def index(pocket: Pocket) -> dict[str, Any]:
    """All that was learned, bit for bit, by prompt (ids are random)."""
    store, recipe = pocket._components.store, pocket._components.recipe()
    return {
        store.get(entry.memory_id).pair.prompt: (
            entry.selection,
            entry.vector.tobytes(),
            entry.prompt_digest,
            entry.recipe,
        )
        for entry in store.learned(recipe)
    }


def learned_so_far(folder: Path) -> int:
    with vault_in(folder) as vault:
        return vault.store("ada").counts().learned


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    """Killed 20 times at random moments and resumed: attributes, gains and vectors are the same.

    What was reported as done survives each kill, and nothing is ever lost again.
    """
    quiet, victim = tmp_path / "quiet", tmp_path / "victim"
    for folder in (quiet, victim):
        with scripted_pocket(folder, delay=0) as pocket:
            for pair in scripted_pairs(30):
                pocket.add(*pair)
    with scripted_pocket(quiet, delay=0) as pocket:
        pocket.learn()
        expected = index(pocket)
    moments = random.Random(1)
    before = 0
    for _ in range(20):
        with learning("scripted", victim, 0.02) as process:
            time.sleep(moments.uniform(0.0, 0.25))
            process.send_signal(signal.SIGKILL)
            told = process.stdout.read().split() if process.stdout else []
            assert process.wait() == -signal.SIGKILL
        kept = learned_so_far(victim)
        assert kept >= before + told.count("done"), "what was reported as done is on the disk"
        assert kept <= before + told.count("done") + 1
        before = kept
    assert before < len(expected), "learning was never at its end when it was killed"
    with scripted_pocket(victim, delay=0) as pocket:
        report = pocket.learn()
        assert (report.indexed, report.remaining) == (30 - before, 0)
        assert index(pocket) == expected
    selections = [entry[0] for entry in expected.values()]
    assert len({selection.attributes for selection in selections}) > 3
    assert any(len(selection.attributes) > 1 for selection in selections)


def test_kills_change_nothing_with_a_real_model(
    tmp_path: Path, model: LlamaModel, prepared_path: Path
) -> None:
    """The same with the starter model: killed amid a pair, between pairs and at the start."""
    quiet, victim = tmp_path / "quiet", tmp_path / "victim"
    for folder in (quiet, victim):
        with real_pocket(folder, model, bank(), ExactSettings()) as pocket:
            for pair in REAL_PAIRS:
                pocket.add(*pair)
    with llama_pocket(quiet, prepared_path) as pocket:
        pocket.learn()
        expected = index(pocket)
    for steps in (3, 1, 2):
        with learning("llama", victim, prepared_path) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(steps)]
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert "end\n" not in lines
    assert learned_so_far(victim) < len(REAL_PAIRS)
    with llama_pocket(victim, prepared_path) as pocket:
        assert pocket.learn().remaining == 0
        assert index(pocket) == expected
    assert any(entry[0].attributes for entry in expected.values())
