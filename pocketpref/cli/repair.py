"""What doctor can do about a vault: save what is intact, or go on with an older copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from pocketpref.cli.app import App
from pocketpref.cli.console import note, print_table, progress, report, report_json, table
from pocketpref.config import KeyCustody
from pocketpref.errors import NotFoundError, TamperedError
from pocketpref.phrases import plural

if TYPE_CHECKING:
    from pocketpref.protocols import KeyStore
    from pocketpref.vault.recovery.salvage import Salvaged, SavedUser

_IDS_SHOWN = 20  # of records that do not open; --json has all


def repair(app: App, file: str, *, as_json: bool) -> None:
    """Save what is intact in the vault into a new one, and say what was lost.

    Args:
        app: whose vault.
        file: where the new one is to be; empty for beside the damaged one.
        as_json: print JSON.

    Raises:
        PocketprefError: nothing could be saved.
    """
    from pocketpref.vault.recovery.salvage import salvage

    source = app.places.vault
    beside = source.with_name(source.name + ".repaired")
    target = Path(file).expanduser().absolute() if file else beside
    with progress("searching") as advance:
        saved = salvage(source, target, _key_store(app, source), advance)
    if as_json:
        report_json(_shape(saved))
    else:
        _print(saved)
    _say_what_next(source, target)


def _key_store(app: App, source: Path) -> KeyStore:
    """Who keeps the key, without SQLite having opened the file: that alone may change it."""
    from pocketpref import custody
    from pocketpref.vault.recovery import salvage

    config = app.config
    if config.key_custody is None:
        kind = salvage.custody(source)
        if kind not in get_args(KeyCustody):
            raise TamperedError(
                f"who keeps the key of {source} cannot be read any more",
                hint="say it: POCKETPREF_KEY_CUSTODY=keyring, passphrase or key-file",
            )
        config = replace(config, key_custody=kind)  # type: ignore[arg-type]  # one of the three
    return custody.choose(config, source, app.ask_passphrase, app.environ)


def _shape(saved: Salvaged) -> dict[str, object]:
    return {
        "target": str(saved.target),
        "users": [
            {
                "user": user.user,
                "memories": user.memories,
                "learned": user.learned,
                "missing": user.missing,
                "damaged": list(user.damaged),
            }
            for user in saved.users
        ],
        "ownerless": saved.ownerless,
    }


def _print(saved: Salvaged) -> None:
    from rich.text import Text

    report(f"saved to {saved.target}")
    listing = table("user", "choices", "learned", "lost")
    for user in saved.users:
        cells = (user.user, f"{user.memories:,}", f"{user.learned:,}", _lost(user))
        listing.add_row(*(Text(cell) for cell in cells))
    print_table(listing)
    if saved.ownerless:
        report(f"{plural(saved.ownerless, 'record')} of users whose key is damaged or destroyed")


def _lost(user: SavedUser) -> str:
    if user.missing == 0 and not user.damaged:
        return "nothing"
    parts = ["unknown" if user.missing is None else plural(user.missing, "record")]
    if user.damaged:
        shown = " ".join(user.damaged[:_IDS_SHOWN])
        more = len(user.damaged) - _IDS_SHOWN
        parts.append(f"damaged: {shown}" + (f" and {more:,} more" if more > 0 else ""))
    return "; ".join(parts)


def _say_what_next(source: Path, target: Path) -> None:
    old = [source.with_name(source.name + end) for end in ("", "-wal", "-shm")]
    there = ", ".join(str(path) for path in old if path.exists())
    note(f"the damaged vault was left as it is: {there}")
    note("next: close every program that uses it, move all of these files elsewhere, then")
    note(f"move {target} to {source}")


def accept_older(app: App, *, as_json: bool) -> None:
    """Take the vault as it is, although a newer one has been seen; that is logged inside of it.

    Raises:
        VaultError: there is no vault, or it cannot be opened for another reason.
    """
    from pocketpref import assemble as opening
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        raise NotFoundError("there is no vault yet", hint="it is made when it is first needed")
    with opening.open_vault(
        app.places.vault, app.key_store(), app.places, accept_older=True
    ) as vault:
        info = vault.info()
    if as_json:
        report_json({"generation": info.generation, "accepted": len(info.accepted)})
        return
    report(f"the vault is accepted as it is; it now counts {info.generation:,} changes")
