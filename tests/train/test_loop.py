"""A run that is killed and resumed ends where one ends that was not."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys, time
from pathlib import Path
import torch
from tools.train.loop import Plan, Run

def trained(folder, pause, seed):
    torch.manual_seed(3)
    data = torch.randn(40, 8)
    module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))

    def loss(module, places):
        time.sleep(pause)
        return (module(data[list(places)])[:, 0] - data[list(places)].sum(1)).square().sum()

    plan = Plan(epochs=4, batch=8, micro=3, rate=1e-2, every=2, seed=seed)
    curve = Run(module, plan, Path(folder)).fit(40, loss)
    assert len(curve) == 20 and curve[-1]["loss"] < curve[0]["loss"]
    return [p.detach().flatten().tolist() for p in module.parameters()]

if len(sys.argv) == 2:
    trained(sys.argv[1], 0.05, 0)
else:
    print("equal", trained(sys.argv[1], 0, 0) == trained(sys.argv[2], 0, 0))
    trained(sys.argv[1], 0, 1)
"""


def start(*folders: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, *map(str, folders)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    """Killed without warning in the middle; parameters are then equal to the last digit.

    A checkpoint of another plan is refused.
    """
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    victim = start(killed)
    deadline = time.monotonic() + 300
    while not (killed / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.kill()
    assert victim.wait() != 0
    before = len((killed / "curve.jsonl").read_text("utf-8").splitlines())
    other = start(killed, whole)
    said, complained = other.communicate(timeout=300)
    assert 0 < before < 20
    assert said.startswith("equal True")
    assert len((killed / "curve.jsonl").read_text("utf-8").splitlines()) == 20
    assert other.returncode != 0
    assert "another plan" in complained


def test_each_example_is_seen_once_in_an_epoch_and_in_another_order_in_the_next() -> None:
    from tools.train.loop import Plan, batches, rate

    plan = Plan(epochs=2, batch=4, seed=5)
    found = [place for batch in batches(10, plan) for place in batch]
    assert sorted(found[:10]) == sorted(found[10:]) == list(range(10))
    assert found[:10] != found[10:]
    rates = [rate(step, 20, plan) for step in range(20)]
    assert max(rates) == plan.rate
    assert rates[-1] < 0.1 * plan.rate < rates[0] < plan.rate
