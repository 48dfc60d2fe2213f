"""Asks the local server everything that its own description allows, and much that it does not.

    python -m tools.fuzz.server [--examples 300] [--seed 1] [--json FILE]

Needs the extra `fuzz` (Schemathesis). The server is the real one on a real socket, with a scripted
model behind it, so that an answer takes no time. Covered: /v1/chat/completions, /v1/embeddings,
/v1/models and the description itself: valid and invalid bodies, headers, methods and content types;
no server error, no answer that the description does not know, no answer without the token, nothing
accepted that it rules out. Not covered: streams, which tests/server drives with the official
client; and whether all is accepted that the description allows, for JSON Schema cannot say what a
conversation is (its last turn is the user's, and not empty).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pocketpref.bootstrap.open import throwaway
from pocketpref.config import Config
from pocketpref.server.openai.app import serve
from pocketpref.testing import HashEmbedder, ScriptedModel

TOKEN = "t" * 40

_LINE = 500


def main(argv: Sequence[str] | None = None) -> int:
    """Run it; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--examples", type=int, default=300, help="of each operation and kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    with served() as port, tempfile.TemporaryDirectory() as folder:  # it keeps its cases there
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run"),
                f"http://127.0.0.1:{port}/v1/openapi.json",
                *("--header", f"Authorization: Bearer {TOKEN}"),
                *(
                    "--checks",
                    "all",
                    "--exclude-checks",
                    "positive_data_acceptance",
                    "--mode",
                    "all",
                    "--workers",
                    "1",
                ),
                *("--max-examples", str(options.examples), "--seed", str(options.seed)),
                *("--request-timeout", "30", "--continue-on-failure", "--no-color"),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
    lines = (done.stdout or done.stderr).splitlines()
    print("\n".join(line[:_LINE] for line in lines))  # a case may be megabytes long
    if options.json is not None:
        options.json.write_text(json.dumps(_figures(done.stdout, options.examples)))
    return done.returncode


def _figures(said: str, examples: int) -> dict[str, object]:
    cases = re.search(r"([\d,]+) generated", said)
    return {
        "examples": examples,
        "cases": int(cases[1].replace(",", "")) if cases else None,
        "summary": said.strip().splitlines()[-1] if said.strip() else "",
    }


@contextmanager
def served() -> Iterator[int]:
    """The server in a thread, over a throw-away vault; gives its port."""
    up, found = threading.Event(), list[tuple[int, Callable[[], None]]]()

    def ready(port: int, stop: Callable[[], None]) -> None:
        found.append((port, stop))
        up.set()

    with (
        throwaway(
            model=ScriptedModel({"short and to the point": {"Yes.": 3.0}}),
            embedder=HashEmbedder(),
            config=Config(),
        ) as pocket,
    ):
        thread = threading.Thread(target=lambda: serve(pocket, 0, TOKEN, ready=ready))
        thread.start()
        up.wait(20)
        port, stop = found[0]
        try:
            yield port
        finally:
            stop()
            thread.join(20)


if __name__ == "__main__":
    raise SystemExit(main())
