"""The local server under load: many streaming clients at once, and others that do not behave.

    python -m tools.bench.server [--clients 50] [--rounds 3] [--tokens 16] [--json FILE]

Starts the real program with the starter model on a vault of its own. In each round every client
asks at once and reads a stream, a fifth of them slowly; a fifth more cut the line after the first
piece; meanwhile others send a wrong token, another origin, a body that is too large and one that is
none. Each whole answer must be, to the letter, what the same prompt is answered when nobody else
asks (temperature 0), so that none went to the wrong client. Reported: seconds to the first piece
and to the end, what went wrong (nothing should), and the server's memory after each round.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from pocketpref.server.loopback import MOST_BODY_BYTES
from pocketpref.vault.crypto.key_stores import KeyFile

_CHAT = "/v1/chat/completions"
_PATIENCE = httpx2.Timeout(900.0)
_PAUSE = 0.05
"""Seconds that a slow reader waits after each piece."""

_MISBEHAVIOUR = {
    "wrong token": 401,
    "foreign origin": 403,
    "too large": 413,
    "no JSON": 400,
    "no such model": 404,
}
"""What is tried besides, and how it is to be answered."""


@dataclass
class _Server:
    """The program under load."""

    url: str
    token: str
    process: psutil.Process

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def megabytes(self) -> float:
        """What it holds in memory (RSS)."""
        return float(self.process.memory_info().rss / 2**20)


@dataclass
class Round:
    """What happened in one round."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    answers: dict[int, str] = field(default_factory=dict)
    cut: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print; 0 if nothing went wrong."""
    options = _parse(argv)
    with _running() as server:
        rounds, memory = [], []
        for number in range(options.rounds):
            rounds.append(_round(server, options))
            memory.append(server.megabytes())
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        wrong = wrong_answers(rounds, _alone(server, rounds, options))
    report = _report(rounds, memory, wrong, options)
    print(json.dumps(report, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if wrong or report["unexpected"] else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=50, help="that ask at once, at most 64")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=16, help="of an answer")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(argv)


@contextmanager
def _running() -> Iterator[_Server]:
    """The real program in a home of its own, with the starter model."""
    with tempfile.TemporaryDirectory(prefix="pocketpref-bench-") as home:
        KeyFile.make(Path(home) / "key")
        environ = {
            **os.environ,
            "POCKETPREF_HOME": home,
            "POCKETPREF_KEY_FILE": str(Path(home) / "key"),
        }
        program = subprocess.Popen(
            [sys.executable, "-m", "pocketpref", "serve", "--port", "0"],
            env=environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert program.stderr is not None
            said = program.stderr.readline() + program.stderr.readline()
            found = re.search(r"(http://\S+)/v1; .*\n.*in (\S+)", said)
            if found is None:
                raise SystemExit(f"the server did not begin: {said}")
            token = Path(found[2]).read_text("ascii").strip()
            yield _Server(found[1], token, psutil.Process(program.pid))
        finally:
            program.terminate()
            program.wait(30)


# ---------------------------------------------------------------------------------- clients


def _round(server: _Server, options: argparse.Namespace) -> Round:
    found, lock = Round(), threading.Lock()
    with ThreadPoolExecutor(options.clients + len(_MISBEHAVIOUR)) as pool:
        asked = [
            pool.submit(_client, server, number, options, found, lock)
            for number in range(options.clients)
        ]
        asked += [pool.submit(_misbehave, server, kind, found, lock) for kind in _MISBEHAVIOUR]
        for done in asked:
            done.result()
    return found


def _client(
    server: _Server, number: int, options: argparse.Namespace, found: Round, lock: threading.Lock
) -> None:
    """One client: of five, one reads slowly, and one cuts the line after the first piece."""
    began, first, pieces = time.monotonic(), 0.0, []
    slow, cuts = number % 5 == 1, number % 5 == 2
    body = _asked(number, options.tokens, stream=True)
    with (
        httpx2.Client(timeout=_PATIENCE) as client,
        client.stream("POST", server.url + _CHAT, json=body, headers=server.headers) as answer,
    ):
        if answer.status_code != 200:
            with lock:
                found.statuses[f"client: {answer.status_code}"] += 1
            return
        for piece in _pieces(answer):
            first = first or time.monotonic() - began
            pieces.append(piece)
            if cuts:
                break
            if slow:
                time.sleep(_PAUSE)
    with lock:
        found.cut += cuts
        if not cuts:
            found.first.append(first)
            found.whole.append(time.monotonic() - began)
            found.answers[number] = "".join(pieces)


def _pieces(answer: httpx2.Response) -> Iterator[str]:
    """The texts in a stream of events."""
    for line in answer.iter_lines():
        if line.startswith("data: {"):
            content = json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content")
            if content:
                yield content


def _asked(number: int, tokens: int, *, stream: bool) -> dict[str, Any]:
    turn = {"role": "user", "content": f"Tell me something about the number {number}."}
    return {
        "model": "pocketpref-plain",
        "messages": [turn],
        "stream": stream,
        "max_tokens": tokens,
        "temperature": 0,
    }


def _misbehave(server: _Server, kind: str, found: Round, lock: threading.Lock) -> None:
    headers = dict(server.headers)
    body = json.dumps(_asked(0, 1, stream=False)).encode()
    match kind:
        case "wrong token":
            headers["Authorization"] = f"Bearer {'x' * 43}"
        case "foreign origin":
            headers["Origin"] = "https://example.org"
        case "too large":
            body = b" " * (MOST_BODY_BYTES + 1) + body
        case "no JSON":
            body = body[:-1]
        case _:
            body = body.replace(b"pocketpref-plain", b"another")
    headers["Content-Type"] = "application/json"
    try:
        with httpx2.Client(timeout=_PATIENCE) as client:
            status = client.post(server.url + _CHAT, content=body, headers=headers).status_code
    except httpx2.TransportError:  # refused before all of it was sent
        status = 413 if kind == "too large" else 0
    with lock:
        found.statuses[f"{kind}: {status}"] += 1


# ----------------------------------------------------------------------------------- figures


def wrong_answers(rounds: Sequence[Round], alone: Mapping[int, str]) -> int:
    """How many answers differ from what the same prompt is answered when nobody else asks."""
    return sum(
        answer != alone[number] for each in rounds for number, answer in each.answers.items()
    )


def _alone(server: _Server, rounds: Sequence[Round], options: argparse.Namespace) -> dict[int, str]:
    """Every prompt that had a whole answer, asked again, one after the other."""
    found = {}
    with httpx2.Client(timeout=_PATIENCE, headers=server.headers) as client:
        for number in sorted({number for each in rounds for number in each.answers}):
            body = _asked(number, options.tokens, stream=False)
            answer = client.post(server.url + _CHAT, json=body).json()
            found[number] = answer["choices"][0]["message"]["content"]
    return found


def _report(
    rounds: Sequence[Round], memory: Sequence[float], wrong: int, options: argparse.Namespace
) -> dict[str, Any]:
    first = [seconds for each in rounds for seconds in each.first]
    whole = [seconds for each in rounds for seconds in each.whole]
    statuses = sum((each.statuses for each in rounds), Counter[str]())
    expected = {f"{kind}: {status}" for kind, status in _MISBEHAVIOUR.items()}
    return {
        "clients": options.clients,
        "rounds": options.rounds,
        "tokens": options.tokens,
        "whole answers": len(whole),
        "cut": sum(each.cut for each in rounds),
        "wrong answers": wrong,
        "first piece, s": {"median": statistics.median(first), "most": max(first)},
        "whole answer, s": {"median": statistics.median(whole), "most": max(whole)},
        "memory after each round, MiB": [round(each) for each in memory],
        "statuses": dict(statuses),
        "unexpected": {name: n for name, n in statuses.items() if name not in expected},
    }


if __name__ == "__main__":
    raise SystemExit(main())
