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

torch.manual_seed(3)
data = torch.randn(40, 8)
module = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))

def loss(module, places):
    time.sleep(float(sys.argv[2]))
    return (module(data[list(places)])[:, 0] - data[list(places)].sum(1)).square().sum()

plan = Plan(epochs=4, batch=8, micro=3, rate=1e-2, every=2, seed=int(sys.argv[3]))
curve = Run(module, plan, Path(sys.argv[1])).fit(40, loss)
print(len(curve), curve[-1]["loss"] < curve[0]["loss"])
print([p.detach().flatten().tolist() for p in module.parameters()])
"""


def start(folder: Path, pause: float, seed: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(folder), str(pause), str(seed)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_killed_run_resumes_to_the_same_numbers(tmp_path: Path) -> None:
    """Killed without warning in the middle; its parameters are equal to the last digit."""
    whole, _ = start(tmp_path / "whole", 0).communicate(timeout=120)
    assert whole.startswith("20 True")
    victim = start(tmp_path / "killed", 0.05)
    checkpoint = tmp_path / "killed" / "checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    victim.kill()
    assert victim.wait() != 0
    resumed, _ = start(tmp_path / "killed", 0).communicate(timeout=120)
    assert resumed == whole
    lines = (tmp_path / "killed" / "curve.jsonl").read_text().splitlines()
    assert len(lines) == 20


def test_a_checkpoint_of_another_plan_is_not_gone_on_with(tmp_path: Path) -> None:
    start(tmp_path, 0).communicate(timeout=120)
    other = start(tmp_path, 0, seed=1)
    _, said = other.communicate(timeout=120)
    assert other.returncode != 0
    assert "another plan" in said


def test_each_example_is_seen_once_in_an_epoch_and_in_another_order_in_the_next() -> None:
    from tools.train.loop import Plan, batches, rate

    plan = Plan(epochs=2, batch=4, seed=5)
    found = [place for batch in batches(10, plan) for place in batch]
    assert sorted(found[:10]) == sorted(found[10:]) == list(range(10))
    assert found[:10] != found[10:]
    rates = [rate(step, 20, plan) for step in range(20)]
    assert max(rates) == plan.rate
    assert rates[-1] < 0.1 * plan.rate < rates[0] < plan.rate
