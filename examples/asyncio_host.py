"""A host on asyncio: answers many at once over a line protocol, and hears what they prefer.

    pip install 'pocketpref[cpu,starter]'
    python examples/asyncio_host.py --port 8900

One JSON object a line, over TCP on this machine (try it with ``nc 127.0.0.1 8900``):

    {"ask": "Explain DNS"}       ->  {"piece": "..."} ... {"number": 0}
    {"again": true}              ->  {"piece": "..."} ... {"number": 1}
    {"chose": 1}                 ->  {"remembered": 1}
    {"edited": "My own words."}  ->  {"remembered": 1}

Whatever calls the Pocket runs in a thread; the loop itself never waits for a model or the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pocketpref
from pocketpref.errors import InputError, PocketprefError
from pocketpref.integrations.feedback_session import Answers


class Host:
    """Serves any number of connections from one Pocket."""

    def __init__(self, pocket: pocketpref.Pocket) -> None:
        self._pocket = pocket
        self._one_at_a_time = asyncio.Lock()  # there is one model

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client until it hangs up."""
        visit = _Visit()
        try:
            while line := await reader.readline():
                async for said in self._hear(visit, line):
                    writer.write(json.dumps(said).encode() + b"\n")
                    await writer.drain()
        except (ConnectionError, ValueError):  # gone, or a line beyond the limit
            pass
        finally:
            writer.close()

    async def _hear(self, visit: _Visit, line: bytes) -> AsyncIterator[dict[str, Any]]:
        try:
            wanted = _object(line)
            if "ask" in wanted:
                visit.prompt = str(wanted["ask"])
                visit.answers = Answers(self._pocket, visit.prompt, program="asyncio-host")
            if "ask" in wanted or "again" in wanted:
                async for piece in self._answer(visit):
                    yield piece
            elif "chose" in wanted:
                if not isinstance(wanted["chose"], int):
                    raise InputError("chose takes the number of an answer")
                kept = await asyncio.to_thread(visit.begun.chose, wanted["chose"])
                yield {"remembered": len(kept)}
            elif "edited" in wanted:
                kept = await asyncio.to_thread(visit.begun.edited, str(wanted["edited"]))
                yield {"remembered": len(kept)}
            else:
                yield {"error": "ask, again, chose or edited"}
        except PocketprefError as error:
            yield {"error": error.words}

    async def _answer(self, visit: _Visit) -> AsyncIterator[dict[str, Any]]:
        pieces: list[str] = []
        async with self._one_at_a_time:
            used = await asyncio.to_thread(self._pocket.personalize, visit.prompt)
            stream = self._pocket.reply(visit.prompt, stream=True)
            while (piece := await asyncio.to_thread(next, stream, None)) is not None:
                pieces.append(piece)
                yield {"piece": piece}
        yield {"number": visit.begun.shown("".join(pieces), under=used.attributes)}


class _Visit:
    """What one client was last answered."""

    def __init__(self) -> None:
        self.prompt = ""
        self.answers: Answers | None = None

    @property
    def begun(self) -> Answers:
        if self.answers is None:
            raise InputError("ask first")
        return self.answers


def _object(line: bytes) -> dict[str, Any]:
    try:
        wanted = json.loads(line)
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise InputError("one JSON object a line")
    return wanted


async def serve(pocket: pocketpref.Pocket, port: int) -> asyncio.Server:
    """Begin to listen on this machine."""
    return await asyncio.start_server(Host(pocket).connected, "127.0.0.1", port)


async def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8900)
    port = parser.parse_args().port
    with pocketpref.open() as pocket:
        server = await serve(pocket, port)
        print(f"listening on 127.0.0.1:{port}")
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
