"""mcp: serve an assistant over a pipe; mcp install, uninstall, entry, hosts: the wiring."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import (
    MisuseError,
    dry_run_option,
    json_option,
    model_option,
    user_option,
)
from pocketpref.cli.console import note, print_table, report, report_json, table
from pocketpref.cli.extras import load

if TYPE_CHECKING:
    from pocketpref.integrations.mcp_clients import Change

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
        report("\n".join(_difference(change)))
        return
    change.make()
    report(f"{change.path} is changed")


def _difference(change: Change) -> list[str]:
    # The lines around may hold keys of other servers: only what changes is shown.
    lines = difflib.unified_diff(
        (change.before or "").splitlines(), change.after.splitlines(), lineterm="", n=0
    )
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
