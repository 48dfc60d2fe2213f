"""The host on asyncio, driven over real sockets by several clients at once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys

from tests.examples.conftest import EXAMPLES


async def say(line, what, until=("number", "remembered", "error")):
    """Send an object; the pieces that come, and what came last."""
    reader, writer = line
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()
    pieces = []
    while True:
        found = json.loads(await asyncio.wait_for(reader.readline(), 20))
        if any(name in found for name in until):
            return "".join(pieces), found
        pieces.append(found["piece"])


def talk(module, pocket, conversation):
    async def run():
        server = await module.serve(pocket, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await conversation(lambda: asyncio.open_connection("127.0.0.1", port))

    return asyncio.run(run())


def test_a_regenerated_answer_that_is_chosen_is_remembered(example, pocket):
    async def conversation(connect):
        line = await connect()
        first, number = await say(line, {"ask": "Is tea good?"})
        assert number == {"number": 0}
        second, number = await say(line, {"again": True})
        assert number == {"number": 1}
        _, kept = await say(line, {"chose": 1})
        assert kept == {"remembered": 1}
        return first, second

    first, second = talk(example("asyncio_host"), pocket, conversation)
    (memory,) = pocket.memories()
    assert (memory.pair.chosen, memory.pair.rejected) == (second, first)
    assert memory.pair.prompt == "Is tea good?"
    assert memory.meta["program"] == "asyncio-host"


def test_who_edits_after_choosing_is_remembered_by_the_edit(example, pocket):
    async def conversation(connect):
        line = await connect()
        await say(line, {"ask": "Is tea good?"})
        await say(line, {"again": True})
        await say(line, {"chose": 0})
        _, kept = await say(line, {"edited": "Mine."})
        assert kept == {"remembered": 1}

    talk(example("asyncio_host"), pocket, conversation)
    (memory,) = pocket.memories()
    assert (memory.pair.chosen, memory.origin) == ("Mine.", "edit")


def test_ten_clients_at_once_get_their_own_answers(example, pocket):
    async def conversation(connect):
        async def one(number):
            line = await connect()
            text, _ = await say(line, {"ask": f"Question {number}?"})
            return number, text

        return await asyncio.gather(*(one(number) for number in range(10)))

    for number, text in talk(example("asyncio_host"), pocket, conversation):
        assert f"Question {number}?" in text


def test_what_is_no_request_ends_nothing(example, pocket):
    async def conversation(connect):
        line = await connect()
        for wrong in ([], {}, {"chose": 3}, {"edited": "x"}, {"chose": "x"}, 7):
            _, found = await say(line, wrong)
            assert "error" in found
        line[1].write(b"not json\n\xff\xfe\n")
        for _ in range(2):
            assert b"error" in await line[0].readline()
        _, found = await say(line, {"ask": "Is tea good?"})
        assert found == {"number": 0}

    talk(example("asyncio_host"), pocket, conversation)


def test_the_program_itself_answers_with_the_real_model(tmp_path):
    home = tmp_path / "home"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        **os.environ,
        "POCKETPREF_HOME": str(home),
        "POCKETPREF_KEY_FILE": str(home / "key"),
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        [sys.executable, str(EXAMPLES / "asyncio_host.py"), "--port", str(port)],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert re.search(str(port), process.stdout.readline())

            async def conversation():
                line = await asyncio.open_connection("127.0.0.1", port)
                return await say(line, {"ask": "Say hello in one word."})

            text, found = asyncio.run(asyncio.wait_for(conversation(), 120))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
    assert text.strip()
    assert found == {"number": 0}
