"""doctor: check the vault, its key, the models and the machine; repair a damaged vault."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

import click

import pocketpref
from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, print_table, progress_bar, report, report_json, table
from pocketpref.cli.params import MisuseError, json_option, model_option, user_option
from pocketpref.config import KeyCustody
from pocketpref.errors import NotFoundError, PocketprefError, RolledBackError, TamperedError
from pocketpref.formatting import plural, size

if TYPE_CHECKING:
    from pocketpref.protocols import KeyStore
    from pocketpref.vault.recovery.salvage import Salvaged, SavedUser

# The checks of ``pocketpref doctor``: each looks at one thing and says what it found.

State = Literal["ok", "note", "wrong"]
_REPAIR = "restore a backup, or save what is intact: pocketpref doctor --repair"
_LEAST_FREE = 1_000_000_000  # bytes; the 16-bit copy of the starter model takes 270 MB


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """What one check found.

    Attributes:
        name: of the check.
        state: "ok", "note" (works, but worth knowing) or "wrong".
        words: what was found, without any text of a user.
        hint: what to do, or None.
    """

    name: str
    state: State
    words: str
    hint: str | None = None


Check = Callable[[App, str | None], HealthFinding]


def check_program(app: App, model: str | None) -> HealthFinding:
    """The versions at work."""
    words = f"pocketpref {pocketpref.__version__}, Python {platform.python_version()}, "
    return HealthFinding("program", "ok", words + f"{platform.system()} {platform.machine()}")


def check_settings(app: App, model: str | None) -> HealthFinding:
    """The configuration can be read."""
    app.config  # noqa: B018 - loading it is the check
    there = app.places.config_file.is_file()
    return HealthFinding(
        "settings", "ok", str(app.places.config_file) if there else "defaults (no file)"
    )


def check_attributes(app: App, model: str | None) -> HealthFinding:
    """The attribute bank, with the user's own, can be read."""
    from pocketpref.attributes import AttributeBank

    bank = AttributeBank.standard(app.places.attributes)
    return HealthFinding("attributes", "ok", plural(len(bank), "attribute"))


def check_key(app: App, model: str | None) -> HealthFinding:
    """Somebody keeps the key, and it fits the vault's header."""
    from pocketpref.vault import Vault

    store = app.key_store()
    if Vault.exists(app.places.vault):
        key_source = Vault.custody(app.places.vault)
        if key_source != store.kind:
            words = f"the settings say {store.kind}, the vault says {key_source}"
            return HealthFinding("key", "wrong", words, "see: pocketpref keys status")
    return HealthFinding("key", "ok", store.describe())


def check_vault(app: App, model: str | None) -> HealthFinding:
    """Every memory of every user can be opened and is unchanged."""
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        return HealthFinding("vault", "ok", f"none yet; it will be {app.places.vault}")
    try:
        with app.vault() as vault:
            users = vault.users()
            memories = sum(sum(1 for _ in vault.store(user).entries()) for user in users)
            info = vault.info()
    except RolledBackError:
        raise
    except TamperedError as error:
        return HealthFinding("vault", "wrong", error.message, _REPAIR)
    return HealthFinding(
        "vault",
        "ok",
        f"{info.path}: {plural(len(users), 'user')}, {plural(memories, 'record')}, all sound "
        f"({info.encryption}, format {info.format})",
    )


def check_freshness(app: App, model: str | None) -> HealthFinding:
    """An older copy of the vault would be noticed, and none was put in its place."""
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        return HealthFinding("freshness", "ok", "no vault yet")
    with app.vault() as vault:
        info = vault.info()
    words = plural(info.generation, "change")
    if info.accepted:
        last = info.accepted[-1]
        words += f"; an older copy was accepted ({plural(len(info.accepted), 'time')}, last on "
        words += f"{last.when:%Y-%m-%d}: {last.found:,} changes instead of {last.expected:,})"
        return HealthFinding("freshness", "note", words)
    if not info.anchored:
        words += f", but they cannot be noted in {app.places.state}"
        return HealthFinding("freshness", "wrong", words, "an older copy would not be noticed")
    return HealthFinding("freshness", "ok", f"{words}, noted in {app.places.state} too")


def check_permissions(app: App, model: str | None) -> HealthFinding:
    """Nobody else on this machine can read what is kept."""
    if os.name == "nt":
        return HealthFinding(
            "permissions", "note", "not checked on Windows: the profile folder's apply"
        )
    secret = [app.places.vault, app.config.key_file, app.config.passphrase_file]
    exposed = [str(path) for path in secret if path is not None and _is_exposed(path)]
    if exposed:
        words = f"other users of this machine may read {', '.join(exposed)}"
        return HealthFinding("permissions", "wrong", words, "chmod go= on them")
    if _is_exposed(app.places.data):
        words = f"others may see the names of the files in {app.places.data}, not read them"
        return HealthFinding("permissions", "note", words, "chmod go= on the folder")
    return HealthFinding("permissions", "ok", "nobody else on this machine can read what is kept")


def _is_exposed(path: Path) -> bool:
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def check_model(app: App, model: str | None) -> HealthFinding:
    """The model's file is there and unchanged, and it loads."""
    from pocketpref.backends.llama import LlamaModel
    from pocketpref.models import Catalogue

    catalogue = Catalogue(app.places.models)
    entry = catalogue.find(model if model is not None else app.config.model)
    digest = catalogue.digest(entry)
    loaded = LlamaModel(entry.path, name=entry.handle, sha256=digest)
    try:
        words = f"{entry.handle}, {size(entry.bytes)}, {loaded.context_size:,} tokens of context"
    finally:
        loaded.close()
    return HealthFinding("model", "ok", f"{words}, sha256 {digest[:16]}")


def check_embedder(app: App, model: str | None) -> HealthFinding:
    """The embedder loads and embeds."""
    from pocketpref.backends.onnx.embedder import open_embedder

    embedder = open_embedder(app.config.embedder)
    shape = embedder.embed(["a sentence to try it"]).shape
    return HealthFinding("embedder", "ok", f"{embedder.name}, {shape[1]} dimensions")


def check_telemetry(app: App, model: str | None) -> HealthFinding:
    """The telemetry of onnxruntime was turned off before it was loaded."""
    from pocketpref.backends.onnx.embedder import load_onnxruntime, telemetry_note

    load_onnxruntime()
    if note := telemetry_note():
        return HealthFinding("telemetry", "wrong", note)
    return HealthFinding(
        "telemetry", "ok", "off: onnxruntime was loaded with ORT_DISABLE_TELEMETRY=1"
    )


def check_gpu(app: App, model: str | None) -> HealthFinding:
    """Whether llama.cpp can use a GPU."""
    from pocketpref.backends.llama import gpu_available

    if gpu_available():
        return HealthFinding("gpu", "ok", "llama.cpp puts the model on the GPU")
    return HealthFinding(
        "gpu", "note", "none, or this build of llama.cpp has no GPU support: CPU only"
    )


def check_disk(app: App, model: str | None) -> HealthFinding:
    """There is room for more."""
    folder = next(p for p in (app.places.data, *app.places.data.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        return HealthFinding(
            "disk", "wrong", f"{size(free)} free", "make room, or set POCKETPREF_HOME"
        )
    return HealthFinding("disk", "ok", f"{size(free)} free")


def check_egress(app: App, model: str | None) -> HealthFinding:
    """What may leave, and whether everybody's log of what left is whole."""
    from pocketpref.egress import EgressGate, Known
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        return HealthFinding("egress", "ok", "off: nothing may leave")
    with app.vault() as vault:
        doors = [EgressGate(vault.store(user), (), Known(list, (), ())) for user in vault.users()]
        open_to = sum(len(door.live()) for door in doors)
        logs = [door.verify() for door in doors]
    if not all(log.ok for log in logs):
        words = "the log of what left is not whole"
        return HealthFinding("egress", "wrong", words, "see: pocketpref egress verify")
    left = plural(sum(log.kept + len(log.forgotten) for log in logs), "request")
    if open_to:
        words = f"{plural(open_to, 'destination')} allowed, {left} left, all on a log that is whole"
        return HealthFinding("egress", "note", words, "see: pocketpref egress status")
    return HealthFinding("egress", "ok", f"off: nothing may leave ({left} did)")


CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("program", check_program),
    ("settings", check_settings),
    ("attributes", check_attributes),
    ("key", check_key),
    ("vault", check_vault),
    ("freshness", check_freshness),
    ("permissions", check_permissions),
    ("model", check_model),
    ("embedder", check_embedder),
    ("telemetry", check_telemetry),
    ("gpu", check_gpu),
    ("disk", check_disk),
    ("egress", check_egress),
)


# What doctor can do about a vault: save what is intact, or go on with an older copy.

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
    with progress_bar("searching") as advance:
        saved = salvage(source, target, damaged_key_store(app, source), advance)
    if as_json:
        report_json(_as_dict(saved))
    else:
        _print_saved(saved)
    old = [source.with_name(source.name + end) for end in ("", "-wal", "-shm")]
    there = ", ".join(str(path) for path in old if path.exists())
    note(f"the damaged vault was left as it is: {there}")
    note("next: close every program that uses it, move all of these files elsewhere, then")
    note(f"move {target} to {source}")


def damaged_key_store(app: App, source: Path) -> KeyStore:
    """Return the key store of a damaged vault without opening it in SQLite, which may change it.

    Raises:
        TamperedError: nothing says who keeps the key.
    """
    from pocketpref.bootstrap import key_source
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
    return key_source.choose(config, source, app.ask_passphrase, app.environ)


def _as_dict(saved: Salvaged) -> dict[str, object]:
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


def _print_saved(saved: Salvaged) -> None:
    from rich.text import Text

    report(f"saved to {saved.target}")
    listing = table("user", "choices", "learned", "lost")
    for user in saved.users:
        cells = (user.user, f"{user.memories:,}", f"{user.learned:,}", loss(user))
        listing.add_row(*(Text(cell) for cell in cells))
    print_table(listing)
    if saved.ownerless:
        report(f"{plural(saved.ownerless, 'record')} of users whose key is damaged or destroyed")


def loss(user: SavedUser) -> str:
    """Say what of a user's records could not be saved."""
    if user.missing == 0 and not user.damaged:
        return "nothing"
    parts = ["unknown" if user.missing is None else plural(user.missing, "record")]
    if user.damaged:
        shown = " ".join(user.damaged[:_IDS_SHOWN])
        more = len(user.damaged) - _IDS_SHOWN
        parts.append(f"damaged: {shown}" + (f" and {more:,} more" if more > 0 else ""))
    return "; ".join(parts)


def accept_older(app: App, *, as_json: bool) -> None:
    """Take the vault as it is, although a newer one has been seen; that is logged inside of it.

    Raises:
        VaultError: there is no vault, or it cannot be opened for another reason.
    """
    from pocketpref.bootstrap import open as opening
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


_MARKS = {"ok": ("ok", "green"), "note": ("note", "yellow"), "wrong": ("WRONG", "bold red")}


@click.command()
@click.option(
    "--repair",
    "repaired",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Save what is intact in a damaged vault into a new one [default: beside the damaged "
    "one, with .repaired added to its name]; the damaged one is only read.",
)
@click.option(
    "--accept-older",
    "older",
    is_flag=True,
    help="Go on with an older copy of the vault that you put back yourself; the vault logs it.",
)
@json_option
@user_option
@model_option
@pass_app
def doctor(
    app: App,
    *,
    repaired: str | None,
    older: bool,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Check the vault, its key, the models and this machine; exit code 1 if something is wrong.

    With --repair or --accept-older it does that instead.

    Example: pocketpref doctor
    """
    if repaired is not None and older:
        raise MisuseError("choose one of --repair and --accept-older")
    if repaired is not None:
        repair(app, repaired, as_json=as_json)
    elif older:
        accept_older(app, as_json=as_json)
    else:
        run_checks(app, model, as_json=as_json)


def run_checks(app: App, model: str | None, *, as_json: bool) -> None:
    """Run every check and print what it found; exit with 1 if something is wrong."""
    findings = [run_check(name, check, app, model) for name, check in CHECKS]
    if as_json:
        report_json(
            [
                {"check": f.name, "state": f.state, "words": f.words, "hint": f.hint}
                for f in findings
            ]
        )
    else:
        from rich.text import Text

        listing = table("", "", "")
        listing.show_header = False
        for finding in findings:
            mark, style = _MARKS[finding.state]
            words = finding.words + (f"\n-> {finding.hint}" if finding.hint else "")
            listing.add_row(Text(mark, style=style), finding.name, Text(words))
        print_table(listing)
    if any(f.state == "wrong" for f in findings):
        sys.exit(1)


def run_check(name: str, check: Check, app: App, model: str | None) -> HealthFinding:
    """Return what a check found; an error that it raised is a finding, too."""
    try:
        return check(app, model)
    except PocketprefError as error:
        return HealthFinding(name, "wrong", error.message, error.hint)
    except (OSError, ImportError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        return HealthFinding(name, "wrong", f"cannot be looked at: {reason}")
