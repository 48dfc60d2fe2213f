"""keys status|set|rotate: who keeps the key that opens the vault, and its exchange."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, progress_bar, report, report_json
from pocketpref.cli.params import MisuseError, json_option
from pocketpref.config import Config
from pocketpref.errors import NotFoundError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.protocols import KeyStore

_VARIABLES = (
    "POCKETPREF_KEY_CUSTODY",
    "POCKETPREF_KEY_FILE",
    "POCKETPREF_PASSPHRASE_FILE",
    "POCKETPREF_PASSPHRASE_FD",
)


@click.group()
def keys() -> None:
    """See and choose who keeps the key that opens the vault.

    Example: pocketpref keys status
    """


@keys.command("status")
@json_option
@pass_app
def key_status(app: App, *, as_json: bool) -> None:
    """Say who keeps the vault's key; the key itself is not touched.

    Example: pocketpref keys status
    """
    from pocketpref.vault import Vault

    path = app.places.vault
    there = Vault.exists(path)
    store = app.key_store()
    key_source = Vault.custody(path) if there else store.kind
    if as_json:
        shape = {"vault": str(path) if there else None, "key_custody": key_source}
        report_json({**shape, "description": store.describe()})
        return
    report(f"vault: {path}{'' if there else ' (not made yet)'}")
    report(f"key:   {store.describe()}")
    if key_source != store.kind:
        note(f"the vault itself says {key_source}: the settings do not fit it")


@keys.command("set")
@click.option("--keyring", is_flag=True, help="The operating system's keyring.")
@click.option("--passphrase", is_flag=True, help="A passphrase, asked for when it is needed.")
@click.option(
    "--key-file", type=click.Path(dir_okay=False), help="A file, made if it is not there."
)
@pass_app
def set_custody(app: App, *, keyring: bool, passphrase: bool, key_file: str | None) -> None:
    """Choose who keeps the key; an existing vault is handed over without touching its records.

    Copies of the vault made before are still opened by the old key.

    Example: pocketpref keys set --key-file /media/stick/pocketpref.key
    """
    from pocketpref.bootstrap import key_source
    from pocketpref.bootstrap import open as opening
    from pocketpref.vault import Vault
    from pocketpref.vault.crypto.key_stores import KeyFile

    if [keyring, passphrase, key_file is not None].count(True) != 1:
        raise MisuseError("choose one of --keyring, --passphrase and --key-file")
    path = Path(key_file).expanduser().absolute() if key_file is not None else None
    if path is not None:
        new: KeyStore = KeyFile(path) if path.exists() else KeyFile.make(path)
    else:
        wanted = replace(app.config, key_custody="passphrase" if passphrase else "keyring")
        new = key_source.choose(wanted, app.places.vault, app.ask_new_passphrase)
    if Vault.exists(app.places.vault):
        # Opened as its header says, whatever the settings say.
        config = replace(app.config, key_custody=None)
        old = key_source.choose(config, app.places.vault, app.ask_passphrase)
        with opening.open_vault(app.places.vault, old, app.places) as vault:
            vault.change_custody(new)
    settings = Config.load(app.places, {})
    replace(
        settings,
        key_custody=new.kind,  # type: ignore[arg-type]  # one of the three by construction
        key_file=path,
    ).save(app.places)
    report(f"key: {new.describe()}")
    for name in _VARIABLES:
        if app.environ.get(name):
            note(f"{name} is set and comes before this choice: unset it")


@keys.command("rotate")
@click.option("--master-only", is_flag=True, help="Leave the users' data keys as they are.")
@pass_app
def rotate(app: App, *, master_only: bool) -> None:
    """Exchange the vault's keys: the master key, and every user's data key.

    Every record is sealed anew, in batches; Ctrl-C is safe, and the next call goes on. Copies made
    before are still opened by the old keys. Other programs must open the vault again.

    Example: pocketpref keys rotate
    """
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        raise NotFoundError("there is no vault yet", hint="it is made when it is first needed")
    with app.vault() as vault:
        vault.rotate_master(app.key_store())
        report("master key: exchanged")
        if master_only:
            return
        done = 0
        for number, user in enumerate(users := vault.users(), start=1):
            with progress_bar(f"user {number} of {len(users)}") as advance:
                done += vault.rotate_data_key(user, advance)
    report(f"data keys:  exchanged, {plural(done, 'record')} sealed anew")
