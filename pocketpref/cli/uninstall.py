"""uninstall: remove what our commands put into the system and, if wanted, the memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import click

from pocketpref.cli.background import remove_files
from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import confirm, confirm_by_typing, note, report
from pocketpref.cli.params import dry_run_option, yes_option
from pocketpref.cli.serve import TOKEN_FILE
from pocketpref.config import Places
from pocketpref.errors import FileError, VaultError


@click.command()
@click.option("--wipe", is_flag=True, help="Also what is remembered of everybody, and settings.")
@dry_run_option
@yes_option
@pass_app
def uninstall(app: App, *, wipe: bool, dry_run: bool, yes: bool) -> None:
    """Take out of the system what our commands put there, before the package is removed.

    Our entries in assistants' settings, the service's file, the server's token, and what can be
    made again. What is remembered stays, unless you add --wipe or say so when you are asked: then
    the vault, settings and models that were pulled go, too. A key file elsewhere and the keyring's
    entry are left: without the vault they open nothing.

    Example: pocketpref uninstall --dry-run
    """
    from pocketpref.files import storage_errors

    if not dry_run:
        wipe = _ask(app.places, wipe=wipe, yes=yes)
    places, vault = app.places, app.places.vault
    targets = [places.data / TOKEN_FILE, places.cache]
    if wipe:
        targets += [vault.with_name(f"{vault.name}{end}") for end in ("", "-wal", "-shm")]
        targets += [places.models, places.state, places.config_file, places.attributes]
    there = [path for path in targets if path.exists()]
    if wipe and not dry_run and vault.exists():
        destroy_keys(app)
    for words in unwire_clients(dry_run=dry_run):
        report(words)
    verb = "would delete" if dry_run else "deleted"
    for path in remove_files(app, dry_run=dry_run):
        report(f"{verb} {path}")
    for path in there:
        if not dry_run:
            with storage_errors(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        report(f"{verb} {path}")
    if not wipe and vault.exists():
        note(f"what is remembered stays in {vault}; --wipe deletes it, too")
    note("then: pip uninstall pocketpref")


def _ask(places: Places, *, wipe: bool, yes: bool) -> bool:
    """Ask, unless the options decide; returns whether to wipe as well."""
    if wipe:
        words = "This deletes all that is remembered of everybody here, for good. Type 'wipe'"
        confirm_by_typing(words, "wipe", yes=yes)
        return True
    confirm("Take pocketpref out of this system?", yes=yes)
    if yes or not places.vault.exists():
        return False
    offer = "Also delete all that is remembered of everybody here, for good? Type 'wipe' if so"
    try:
        typed = str(click.prompt(offer, default="", show_default=False, err=True))
    except click.Abort:
        typed = ""
    return typed.strip() == "wipe"


def destroy_keys(app: App) -> None:
    """Overwrite each person's key in the vault: a disk may keep what a deleted file held."""
    problem = ""
    try:
        with app.vault() as vault:
            for name in vault.users():
                vault.store(name).forget_everything()
    except VaultError as error:
        problem = error.message
    if problem:
        note(f"the vault is deleted as it is, for it cannot be opened: {problem}")


def unwire_clients(*, dry_run: bool) -> Iterator[str]:
    """Take our entries out of the settings of MCP clients, and yield what was done."""
    from pocketpref.integrations import mcp_clients

    for host in mcp_clients.HOSTS:
        if not mcp_clients.present(host):
            continue
        problem = ""
        try:
            change = mcp_clients.removed(host)
            if change is not None and not dry_run:
                change.make()
        except FileError as error:
            problem = error.words
        if problem:
            note(problem)
        else:
            yield f"{'would take' if dry_run else 'took'} us out of the settings of {host.title}"
