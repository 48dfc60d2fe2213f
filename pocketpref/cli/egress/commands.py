"""egress status|allow|revoke and egress key: what may leave, and the keys of remote APIs."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.egress.log import log, preview, verify
from pocketpref.cli.egress.rendering import finding_lines, level_name, time_span
from pocketpref.cli.output import note, print_table, report, report_json, table, when
from pocketpref.cli.params import MisuseError, json_option, model_option, user_option
from pocketpref.errors import InputError, NotFoundError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.egress import EgressGate, Grant, Offer
    from pocketpref.egress.api_keys import ApiKey
    from pocketpref.egress.destination import Destination
    from pocketpref.pocket import Pocket

# egress key set|remove: the keys of remote APIs, kept sealed in the vault.


@click.group("key")
def key() -> None:
    """Keep the keys of remote APIs, each for one address and never sent to another.

    Example: pocketpref egress key set openai:gpt-5
    """


@key.command("set")
@click.argument("destination", metavar="DEST")
@click.option(
    "--file", "file", metavar="FILE", help="Read it from a file's first line; - for standard input."
)
@click.option("--fd", type=click.IntRange(min=3), help="Read it from this open descriptor.")
@user_option
@model_option
@pass_app
def set_key(
    app: App,
    *,
    destination: str,
    file: str | None,
    fd: int | None,
    user: str | None,
    model: str | None,
) -> None:
    """Keep a key, asked for without being shown, in place of an earlier one.

    It is for the address of DEST, whatever the model, and lies sealed in the vault. It is never an
    argument or a variable: other programs can read those.

    Example: pass show openai | pocketpref egress key set openai:gpt-5 --file -
    """
    from pocketpref.egress.destination import Destination

    if file is not None and fd is not None:
        raise MisuseError("choose one of --file and --fd")
    to = Destination.parse(destination)
    given = read_key(to, file, fd)
    with app.pocket(user, model) as pocket:
        pocket.api_keys.put(to, given)
    report(f"key kept for {_address(to)}")


@key.command("remove")
@click.argument("destination", metavar="DEST")
@user_option
@model_option
@pass_app
def remove_key(app: App, *, destination: str, user: str | None, model: str | None) -> None:
    """Remove the key for the address of DEST.

    Example: pocketpref egress key remove openai:gpt-5
    """
    from pocketpref.egress.destination import Destination

    to = Destination.parse(destination)
    with app.pocket(user, model) as pocket:
        if not pocket.api_keys.remove(to):
            raise NotFoundError(
                f"there is no key for {_address(to)}", hint="`pocketpref egress status` lists them"
            )
    report(f"key removed for {_address(to)}")


def _address(to: Destination) -> str:
    from pocketpref.egress.api_keys import address

    return address(to)


def read_key(to: Destination, file: str | None, fd: int | None) -> ApiKey:
    """Read a key from a file (``-``: standard input), a descriptor or, without both, a person.

    Raises:
        InputError: it cannot be read, or nobody can be asked.
    """
    from pocketpref.egress.api_keys import ApiKey
    from pocketpref.files import open_inherited

    if file == "-":
        return ApiKey.read(sys.stdin.buffer)
    if file is not None:
        with suppress(OSError), Path(file).expanduser().open("rb") as source:
            return ApiKey.read(source)
        raise InputError("the file with the key cannot be read", hint="its first line is the key")
    if fd is not None:
        with suppress(OSError), open_inherited(fd) as source:
            return ApiKey.read(source)
        raise InputError(
            f"descriptor {fd} cannot be read",
            hint="for example: pocketpref egress key set DEST --fd 3 3< key.txt",
        )
    if not sys.stdin.isatty():
        raise InputError(
            "a key is needed, and there is no terminal to ask at",
            hint="`--file FILE`, `--file -` and `--fd N` say where to read it",
        )
    typed = click.prompt(f"Key for {_address(to)}", hide_input=True, err=True)
    return ApiKey.typed(str(typed))


_LEVELS = ("none", "attributes", "summary")


@click.group()
def egress() -> None:
    """See and decide what may leave this machine, and see what did. By default nothing may.

    Example: pocketpref egress status
    """


for _command in (key, preview, log, verify):
    egress.add_command(_command)


@egress.command("status")
@json_option
@user_option
@model_option
@pass_app
def egress_status(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """List what is allowed, the addresses there are API keys for, and how much has left.

    Example: pocketpref egress status
    """
    with app.pocket(user, model) as pocket:
        gate = pocket.egress
        grants, entries = gate.grants(), gate.log()
        found = {
            "grants": [_grant_as_dict(gate, grant) for grant in grants],
            "keys": pocket.api_keys.addresses(),
            "sent": sum(entry.event == "allowed" for entry in entries),
            "log": len(entries),
        }
    if as_json:
        report_json(found)
        return
    _print_status(found)


def _grant_as_dict(gate: EgressGate, grant: Grant) -> dict[str, Any]:
    refusal = gate.refusal(grant)
    return {
        "id": grant.id,
        "destination": str(grant.destination),
        "level": level_name(grant.level),
        "summary": _bound(grant),
        "values": list(grant.values),
        "expires": grant.expires.isoformat(),
        "daily": grant.daily,
        "today": grant.uses,
        "refused": None if refusal is None else refusal.value,
    }


def _bound(grant: Grant) -> str | None:
    if level_name(grant.level) != "summary":
        return None
    return "any" if grant.summary_hash is None else "this"


def _print_status(found: dict[str, Any]) -> None:
    if not found["grants"]:
        report("nothing may leave: no destination is allowed")
        note("`pocketpref egress allow DEST --level summary` allows one")
    else:
        listing = table("id", "destination", "level", "until", "today", "")
        for grant in found["grants"]:
            bound = {"this": " (this one)", "any": " (any)", None: ""}[grant["summary"]]
            values = f", {', '.join(grant['values'])}" if grant["values"] else ""
            limit = "" if grant["daily"] is None else f" of {grant['daily']}"
            listing.add_row(
                *(grant["id"], grant["destination"], f"{grant['level']}{bound}{values}"),
                *(when(datetime.fromisoformat(grant["expires"])), f"{grant['today']}{limit}"),
                "" if grant["refused"] is None else f"allows nothing: {grant['refused']}",
            )
        print_table(listing)
    for address in found["keys"]:
        report(f"key for {address}")
    report(f"{plural(found['sent'], 'request')} left; {plural(found['log'], 'line')} in the log")


@egress.command("allow")
@click.argument("destination", metavar="DEST")
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    required=True,
    help="The most that may go with a request: nothing, a sentence, or your summary.",
)
@click.option(
    "--any-summary",
    is_flag=True,
    help="Any summary that passes the checks, not just the present one.",
)
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="NAME",
    help="An attribute of the category values that may be told, too; may be given several times.",
)
@click.option(
    "--expires",
    default="30d",
    show_default=True,
    metavar="TIME",
    help="For how long: 12h, 30d, 4w.",
)
@click.option("--daily", type=click.IntRange(min=1), help="How many requests a day (UTC).")
@json_option
@user_option
@model_option
@pass_app
def allow(
    app: App,
    *,
    destination: str,
    level: str,
    any_summary: bool,
    values: tuple[str, ...],
    expires: str,
    daily: int | None,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Allow requests to one model at one address, in place of what was allowed there before.

    DEST is openai:MODEL or anthropic:MODEL, or with its address: openai:MODEL@https://HOST/v1.
    Another model, port or path is another destination.

    Example: pocketpref egress allow openai:gpt-5 --level attributes --expires 7d
    """
    from pocketpref.egress import Destination, Level

    to, wanted = Destination.parse(destination), Level[level.upper()]
    if any_summary and wanted is not Level.SUMMARY:
        raise MisuseError("--any-summary goes with --level summary")
    span = time_span(expires)
    with app.pocket(user, model) as pocket:
        offer = pocket.offer()
        grant = pocket.egress.allow(
            *(to, wanted),
            offer=offer,
            any_summary=any_summary,
            values=values,
            expires=span,
            daily=daily,
        )
        held_back = _held_back(pocket, grant, offer)
        shape = _grant_as_dict(pocket.egress, grant)
    if as_json:
        report_json(shape)
        return
    report(f"allowed until {when(grant.expires)}: {grant.destination}")
    words = {
        "any": "whatever your summary says then, if the checks find nothing in it",
        "this": f"this summary, and no other:\n  {offer.summary}",
    }
    report(f"with each request goes {words.get(_bound(grant) or '', grant.level.words)}")
    for line in held_back:
        note(line)


def _held_back(pocket: Pocket, grant: Grant, offer: Offer) -> list[str]:
    """What the checks say of a summary that was just allowed."""
    from pocketpref.egress import Request

    ask = Request(({"role": "user", "content": "?"},))
    findings = pocket.egress.preview(ask, offer, grant.destination).findings
    if not findings:
        return []
    return [
        *finding_lines(findings, offer.summary),
        "until it says something else, a sentence goes",
    ]


@egress.command("revoke")
@click.argument("which", metavar="[DEST|ID]", required=False)
@click.option("--all", "everything", is_flag=True, help="Take back everything that is allowed.")
@user_option
@model_option
@pass_app
def revoke(
    app: App, *, which: str | None, everything: bool, user: str | None, model: str | None
) -> None:
    """Take back what is allowed, at once and in every program.

    Example: pocketpref egress revoke openai:gpt-5
    """
    from pocketpref.egress import Destination

    if (which is None) != everything:
        raise MisuseError("name a destination or an id, or say --all")
    with app.pocket(user, model) as pocket:
        gate = pocket.egress
        if which is None:
            gone = sum(gate.revoke(grant.id) for grant in gate.grants())
        else:
            gone = gate.revoke(Destination.parse(which) if ":" in which else which)
    if not gone and not everything:
        raise NotFoundError(
            "nothing is allowed there", hint="`pocketpref egress status` lists what is"
        )
    report(f"revoked: {plural(gone, 'destination')}")
