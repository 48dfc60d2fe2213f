"""The real program, driven by the official client over real pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import anyio
import mcp_types as types
import pytest
from mcp import Client, MCPError

from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from tests.server.conftest import ASKED, SECRETS, SUMMARY

PLANT = "Žquux77"


def session(place, work, *options, **more):
    """Run ``work(client)`` against a server of its own."""

    async def run():
        async with Client(place.server(*options, **more)) as client:
            return await work(client)

    return anyio.run(run)


async def refused(call):
    """The protocol's own error that a call ends in."""
    with pytest.raises(MCPError) as found:
        await call
    return found.value.error


def given(result):
    assert not result.is_error, result.content
    (content,) = result.content
    assert json.loads(content.text) == result.structured_content
    return result.structured_content


def test_an_assistant_personalizes_reports_and_forgets(place, pocket):
    pocket.egress.allow(Destination.parse("mcp:desk"), Level.SUMMARY, offer=pocket.offer())

    async def work(client):
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        told = given(await client.call_tool("personalize", {"prompt": ASKED}))
        kept = given(
            await client.call_tool(
                "remember_choice", {"prompt": ASKED, "chosen": "Yes.", "rejected": "No."}
            )
        )
        gone = given(await client.call_tool("forget", {"ids": [kept["id"]]}))
        return tools, told, gone

    tools, told, gone = session(place, work)
    assert SUMMARY in told["messages"][0]["content"]
    assert gone == {"forgotten": 1}
    assert pocket.counts().memories == 1
    assert tools["personalize"].annotations.read_only_hint
    assert tools["forget"].annotations.destructive_hint
    assert not tools["remember_choice"].annotations.destructive_hint


def test_two_assistants_at_once_have_scopes_of_their_own(place, pocket):
    pocket.egress.allow(Destination.parse("mcp:one"), Level.SUMMARY, offer=pocket.offer())
    arguments = {"prompt": ASKED, "chosen": "Yes.", "rejected": "No."}

    async def both():
        async with (
            Client(place.server(client="one")) as one,
            Client(place.server(client="two")) as two,
        ):
            kept = given(await one.call_tool("remember_choice", arguments))["id"]
            refused = await two.call_tool("forget", {"ids": [kept]})
            told = [given(await client.call_tool("profile", {})) for client in (one, two)]
            return refused, told

    refused, told = anyio.run(both)
    assert refused.is_error
    assert [answer["shared"] for answer in told] == ["summary", "nothing"]
    assert pocket.counts().memories == 2


def test_errors_name_the_thing_and_never_the_text(place, pocket):
    async def work(client):
        return [
            await client.call_tool("personalize", {"prompt": 7, PLANT: PLANT}),
            await client.call_tool("remember_choice", dict.fromkeys(SECRETS, PLANT)),
            await client.call_tool("forget", {"ids": [PLANT]}),
        ], await refused(client.call_tool(PLANT, {"prompt": PLANT}))

    results, error = session(place, work)
    for result in results:
        assert result.is_error
        assert "quux77" not in str(result)
    assert "quux77" not in repr(error)
    assert pocket.counts().memories == 1


def test_read_only_serves_nothing_that_writes(place, pocket):
    async def work(client):
        names = [tool.name for tool in (await client.list_tools()).tools]
        return names, await refused(client.call_tool("forget", {"ids": ["000000000000"]}))

    names, error = session(place, work, "--read-only")
    assert "remember_choice" not in names
    assert error.code == types.INVALID_PARAMS


HOSTILE = [
    b"not json " + PLANT.encode() + b"\n",
    b'{"jsonrpc":"2.0","id":1,"method":"' + PLANT.encode() + b'","params":{}}\n',
    b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":["'
    + PLANT.encode()
    + b'"]}}\n',
    b"\xff\xfe" + PLANT.encode("utf-16-le") + b"\n",
    b"[" * 100_000 + b"\n",
    b"\n" * 1000,
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_lines_end_nothing_and_reach_neither_log_nor_disk(place, pocket, number):
    """The protocol's own answers may echo a method's name to whoever sent it; nobody else."""
    alive = b'{"jsonrpc":"2.0","id":99,"method":"ping"}\n'
    first = (
        b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
        b'"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}\n'
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
    )
    server = place.server()
    with subprocess.Popen(
        [server.command, *server.args],
        env=server.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(first + HOSTILE[number] + alive)
        process.stdin.flush()
        # The pipe stays open until the answer is there: at its end the server stops at once.
        said = [json.loads(line) for line in iter_until(process.stdout, 99)]
        _, errors = process.communicate(timeout=60)
    assert [one for one in said if one.get("id") == 99 and "result" in one]
    assert b"quux77" not in errors
    assert b"Traceback" not in errors
    for file in place.folder.rglob("*"):
        assert not file.is_file() or b"quux77" not in file.read_bytes()


def iter_until(lines, number):
    """Lines up to the answer of a number, or to the end."""
    for line in lines:
        yield line
        if json.loads(line).get("id") == number:
            return


def test_nothing_but_the_protocol_is_on_standard_output(place, pocket):
    """Libraries may print; the pipe is the assistant's."""
    code = (
        "import os, sys\n"
        "from pocketpref.server.mcp import tools\n"
        "def loud(assistant, arguments):\n"
        "    print('printed'); os.write(1, b'written'); os.system('echo spawned')\n"
        "    return {}\n"
        "object.__setattr__(tools.TOOLS[1], 'run', loud)\n"
        "from pocketpref.cli import main\n"
        "sys.exit(main(['mcp', '--client', 'desk']))\n"
    )
    server = place.server()
    server = server.model_copy(update={"args": ["-c", code]})

    async def run():
        async with Client(server) as client:
            return given(await client.call_tool("profile", {})), await client.list_tools()

    answer, tools = anyio.run(run)
    assert answer == {}
    assert tools.tools


def test_without_the_package_it_is_said_which(place):
    code = (
        "import sys; sys.modules['mcp'] = None\n"
        "from pocketpref.cli import main\n"
        "sys.exit(main(['mcp', '--client', 'desk']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **place.environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'pocketpref[mcp]'" in done.stderr
