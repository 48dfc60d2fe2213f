"""Transfer: one summary changes how two different models answer, behind two real servers.

Both servers are llama-cpp-python's own, started as programs; what they get goes through the door
and the real client. The first model is the starter as it is shipped (Q4_1). Only its family is at
hand here, so the second is made from it: quantized anew (Q4_0), which moves its weights by a
twelfth of their norm and makes other answers of them. Two models of different families are what
this cannot show.
"""

from __future__ import annotations

import ctypes
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.backends.http import HttpGenerator
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.egress import Destination, EgressGate, Known, Level, Offer, Request
from pocketpref.records import Message, Sampling
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile

SUMMARY = "Wants the answer in one short sentence."
QUESTIONS = (
    "What is the capital of France?",
    "What is water made of?",
    "What is a glacier?",
    "What do bees eat?",
    "Why do leaves fall?",
    "What is a volcano?",
)
GREEDY = Sampling(temperature=0.0, max_tokens=60, seed=1)
Answers = dict[str, list[str]]


@pytest.fixture(scope="module")
def second_path(starter_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The second model."""
    import llama_cpp

    target = tmp_path_factory.mktemp("second") / "second.gguf"
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.allow_requantize = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, True
    files = (str(starter_path).encode(), str(target).encode())
    assert llama_cpp.llama_model_quantize(*files, ctypes.byref(settings)) == 0
    return target


@contextmanager
def server(model: Path) -> Iterator[str]:
    """llama-cpp-python's server with one model; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = {"model": model, "host": "127.0.0.1", "port": port, "n_ctx": 512, "verbose": False}
    options |= {"n_threads": 1, "n_threads_batch": 1}  # more of them would wait for one another
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    program = [sys.executable, "-m", "llama_cpp.server", *arguments]
    running = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port, running)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        running.terminate()
        running.wait(10)


def _await(port: int, running: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert running.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("the server does not start")


def ask_all(door: EgressGate, url: str) -> Answers:
    """Each question without the summary, again, and with it."""
    destination = Destination.parse(f"openai:any@{url}")
    door.allow(destination, Level.SUMMARY, any_summary=True)
    generator = HttpGenerator()

    def ask(question: str, summary: str) -> str:
        request = Request((Message(role="user", content=question),), GREEDY)
        disclosure = door.clear(request, Offer(summary=summary), destination)
        assert disclosure.text == summary
        reply = "".join(generator.generate(disclosure))
        door.finished(disclosure, "complete")
        return reply

    return {
        "plain": [ask(question, "") for question in QUESTIONS],
        "again": [ask(QUESTIONS[1], "")],
        "summary": [ask(question, SUMMARY) for question in QUESTIONS],
    }


@pytest.fixture(scope="module")
def answers(
    starter_path: Path,
    second_path: Path,
    bank: AttributeBank,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Answers, Answers]:
    """What both models say; the log is whole afterwards."""
    folder = tmp_path_factory.mktemp("vault")
    with ExitStack() as stack:
        vault = Vault.create(folder / "vault.db", KeyFile.make(folder / "key"))
        store = stack.enter_context(vault).store("ada")
        door = EgressGate(store, tuple(bank), Known(lambda: (), (), tuple(bank)))
        urls = [stack.enter_context(server(path)) for path in (starter_path, second_path)]
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda url: ask_all(door, url), urls)
        assert door.verify().ok
    return first, second


def words(replies: list[str]) -> float:
    return float(np.mean([len(reply.split()) for reply in replies]))


def others(some: list[str], same_place: list[str]) -> int:
    """How many answers are not the same."""
    return sum(a != b for a, b in zip(some, same_place, strict=True))


def test_the_two_models_are_two(
    answers: tuple[Answers, Answers], starter_path: Path, second_path: Path
) -> None:
    """Other weights, and other answers."""
    first, second = answers
    assert others(first["plain"], second["plain"]) >= len(QUESTIONS) - 1
    one, other = Tensors(starter_path), Tensors(second_path)
    names = [f"blk.{layer}.ffn_up.weight" for layer in range(0, 30, 6)]
    moved = [
        np.linalg.norm(one.matrix(name) - other.matrix(name)) / np.linalg.norm(one.matrix(name))
        for name in names
    ]
    one.close()
    other.close()
    assert min(moved) > 0.05


@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_the_summary_conditions_both(answers: tuple[Answers, Answers], place: int) -> None:
    """Who wants one short sentence gets fewer words: by half, in most runs."""
    said = answers[place]
    assert all(said["plain"] + said["summary"])
    assert others(said["plain"], said["summary"]) >= len(QUESTIONS) - 1
    assert words(said["summary"]) < 0.85 * words(said["plain"])


@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_without_a_change_nothing_changes(answers: tuple[Answers, Answers], place: int) -> None:
    """The comparison above is not one of chance: the same request gets the same answer."""
    said = answers[place]
    assert said["again"] == said["plain"][1:2]
