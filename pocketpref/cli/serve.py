"""serve, open and mcp: what other programs and the browser reach a Pocket through."""

from __future__ import annotations

import difflib
import json
import re
import secrets
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, load, pass_app
from pocketpref.cli.output import note, print_table, report, report_json, table
from pocketpref.cli.params import (
    MisuseError,
    dry_run_option,
    json_option,
    model_option,
    user_option,
)
from pocketpref.errors import StorageError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.integrations.mcp_clients import Change
    from pocketpref.server.web.run import Opening

# mcp: serve an assistant over a pipe; mcp install, uninstall, entry, hosts: the wiring.

_CLIENT = click.option(
    "--client",
    metavar="NAME",
    help="The assistant's name here; what it may be told is allowed to mcp:NAME.",
)
_READ_ONLY = click.option("--read-only", is_flag=True, help="Offer no tool that writes.")


@click.group(invoke_without_command=True)
@_CLIENT
@_READ_ONLY
@user_option
@model_option
@click.pass_context
def mcp(
    context: click.Context,
    *,
    client: str | None,
    read_only: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Serve an assistant that speaks MCP, over standard input and output.

    Assistants start this themselves, once they are wired: `pocketpref mcp install HOST`. An
    assistant is told nothing about you until you allow it: `pocketpref egress allow mcp:NAME`.

    Example: pocketpref mcp --client my-assistant
    """
    if context.invoked_subcommand is not None:
        if client is not None or read_only or user is not None or model is not None:
            raise MisuseError("these options stand after the command, not before it")
        return
    if client is None:
        raise MisuseError("--client is missing: the assistant's name here")
    server = load("pocketpref.server.mcp.server", "mcp")
    app: App = context.obj
    with app.pocket(user, model) as pocket:
        server.serve(pocket, client, read_only=read_only)


@mcp.command("install")
@click.argument("host_name", metavar="HOST")
@_CLIENT
@_READ_ONLY
@dry_run_option
@user_option
@pass_app
def install(
    app: App,
    *,
    host_name: str,
    client: str | None,
    read_only: bool,
    dry_run: bool,
    user: str | None,
) -> None:
    """Enter pocketpref into an assistant's settings.

    HOST is one of `pocketpref mcp hosts`. Nothing else in its settings is changed, and nothing is
    shared with it yet.

    Example: pocketpref mcp install claude-desktop --dry-run
    """
    from pocketpref.egress.destination import Destination
    from pocketpref.integrations import mcp_clients

    known = mcp_clients.host(host_name)
    destination = Destination.parse(f"mcp:{client or known.name}")
    ours = mcp_clients.entry(destination.model, app.environ, _options(user, read_only=read_only))
    change = mcp_clients.entered(known, ours)
    _make(change, dry_run=dry_run)
    if dry_run:
        return
    note(f"restart {known.title}; it is told nothing until you allow it:")
    note(f"pocketpref egress allow {destination} --level attributes (or summary)")


@mcp.command("uninstall")
@click.argument("host_name", metavar="HOST")
@dry_run_option
def uninstall(*, host_name: str, dry_run: bool) -> None:
    """Take pocketpref out of an assistant's settings.

    What was allowed to it stays allowed until it is revoked: `pocketpref egress revoke mcp:NAME`.

    Example: pocketpref mcp uninstall claude-desktop
    """
    from pocketpref.integrations import mcp_clients

    known = mcp_clients.host(host_name)
    change = mcp_clients.removed(known)
    if change is None:
        report(f"pocketpref is not in the settings of {known.title}")
        return
    _make(change, dry_run=dry_run)


@mcp.command("entry")
@_CLIENT
@_READ_ONLY
@user_option
@pass_app
def entry(app: App, *, client: str | None, read_only: bool, user: str | None) -> None:
    """Print the JSON to enter by hand into an assistant that is not listed.

    Example: pocketpref mcp entry --client my-assistant
    """
    from pocketpref.egress.destination import Destination
    from pocketpref.integrations import mcp_clients

    name = Destination.parse(f"mcp:{client or 'assistant'}").model
    ours = mcp_clients.entry(name, app.environ, _options(user, read_only=read_only))
    report(json.dumps({"mcpServers": {mcp_clients.ENTRY: ours}}, indent=2, ensure_ascii=False))


@mcp.command("hosts")
@json_option
def hosts(*, as_json: bool) -> None:
    """List the assistants that can be wired by one command.

    Example: pocketpref mcp hosts
    """
    from pocketpref.integrations import mcp_clients

    found = [(one, mcp_clients.present(one)) for one in mcp_clients.HOSTS]
    if as_json:
        report_json(
            [
                {"host": one.name, "title": one.title, "settings": str(one.path), "wired": wired}
                for one, wired in found
            ]
        )
        return
    listing = table("host", "program", "settings", "wired")
    for one, wired in found:
        listing.add_row(one.name, one.title, str(one.path), "yes" if wired else "no")
    print_table(listing)


def _options(user: str | None, *, read_only: bool) -> list[str]:
    return [*(["--read-only"] if read_only else []), *(["--user", user] if user else [])]


def _make(change: Change, *, dry_run: bool) -> None:
    if not change.needed:
        report(f"{change.path} says so already")
        return
    if dry_run:
        report(f"{change.path} would change:")
        # The lines around may hold keys of other servers: only what changes is shown.
        lines = difflib.unified_diff(
            (change.before or "").splitlines(), change.after.splitlines(), lineterm="", n=0
        )
        report("\n".join(line for line in lines if not line.startswith(("---", "+++", "@@"))))
        return
    change.make()
    report(f"{change.path} is changed")


# open: the page in the browser where one sees and decides.

_MINUTES = 30


@click.command("open")
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=0,
    help="Port on 127.0.0.1 [default: a free one].",
)
@click.option("--no-browser", is_flag=True, help="Start no browser: the code is typed by hand.")
@click.option(
    "--idle",
    type=click.IntRange(min=1, max=1440),
    default=_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help="Close the page when it was not used for so long.",
)
@user_option
@model_option
@pass_app
def open_page(
    app: App, *, port: int, no_browser: bool, idle: int, user: str | None, model: str | None
) -> None:
    """Open the page in your browser: see what is known about you, change it, and decide.

    It shows what was learned and why, whether it helps, what may leave and what has left, models
    and keys. It is served on this machine, to this one browser, until you close it or press Ctrl-C.

    Example: pocketpref open --idle 10
    """
    page = load("pocketpref.server.web.run", "serve")
    from pocketpref.server.web.settings import Machine
    from pocketpref.server.web.views import WebContext

    with app.pocket(user, model) as pocket, ExitStack() as file:

        def ready(opening: Opening) -> None:
            note(f"the page: {opening.address} (Ctrl-C ends it)")
            note(f"the code, if it asks for one: {opening.code}")
            if not no_browser:
                start_browser(file, app.places.state, opening)

        desk = WebContext(pocket, Machine(app.places, app.config, app.environ))
        was_idle = page.serve(desk, port, idle=idle * 60, ready=ready, entered=file.close)
    note(f"closed: not used for {plural(idle, 'minute')}" if was_idle else "closed")


def start_browser(file: ExitStack, folder: Path, opening: Opening) -> None:
    """Start the browser on a file that posts the code: a command line would show an address."""
    import webbrowser

    from pocketpref.server.web.session import opening_file

    path = file.enter_context(opening_file(folder, opening.port, opening.code))
    # A browser for terminals stays until it is left, and the page must be served meanwhile.
    start = threading.Thread(target=webbrowser.open, args=(path.as_uri(),), daemon=True)
    start.start()


PORT = 8765
TOKEN_FILE = "server-token"  # noqa: S105 - the name of a file
"""Where the token is kept, in the folder of the vault."""

_TOKEN = re.compile(r"[!-~]{32,1000}")  # what a header can carry, as one word


@click.command()
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0 for a free one.",
)
@click.option("--no-token", is_flag=True, help="Answer every program on this machine, of any user.")
@user_option
@model_option
@pass_app
def serve(app: App, *, port: int, no_token: bool, user: str | None, model: str | None) -> None:
    """Serve programs on this machine with OpenAI's interface, until Ctrl-C.

    Any OpenAI client works: its base URL is http://127.0.0.1:PORT/v1, its API key the content of
    the file that is named. The model `pocketpref` answers here, with what was learned;
    `pocketpref-plain` without; openai:MODEL and anthropic:MODEL elsewhere, if you allowed that.

    Example: pocketpref serve --port 8765
    """
    server = load("pocketpref.server.openai.app", "serve")
    path = None if no_token else app.places.data / TOKEN_FILE
    token = None if path is None else server_token(path)

    def ready(port: int, stop: Callable[[], None]) -> None:
        del stop  # Ctrl-C does that here
        note(f"serving http://127.0.0.1:{port}/v1; Ctrl-C ends it")
        note(f"API key: in {path}" if path else "API key: none is asked for")

    with app.pocket(user, model) as pocket:
        server.serve(pocket, port, token, ready=ready)


def server_token(path: Path) -> str:
    """Return the token in a file that only its owner may read; make one if there is none.

    Raises:
        StorageError: the file cannot be read or made, or holds no token.
    """
    from pocketpref.files import new_private_file, private_folder, storage_errors

    with storage_errors(path):
        if not path.exists():
            private_folder(path.parent)
            with new_private_file(path) as file:
                file.write(secrets.token_urlsafe(32).encode() + b"\n")
        token = path.read_bytes().strip().decode("ascii", errors="replace")
    if not _TOKEN.fullmatch(token):
        raise StorageError(f"{path} holds no token", hint="delete it: a new one is made")
    return token
