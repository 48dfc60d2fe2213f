"""The checks of ``pocketpref doctor``: each looks at one thing and says what it found."""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pocketpref
from pocketpref.cli.app import App
from pocketpref.errors import RolledBackError, TamperedError
from pocketpref.phrases import plural, size

State = Literal["ok", "note", "wrong"]
_REPAIR = "restore a backup, or save what is intact: pocketpref doctor --repair"
_LEAST_FREE = 1_000_000_000  # bytes; the 16-bit copy of the starter model takes 270 MB


@dataclass(frozen=True, slots=True)
class Finding:
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


Check = Callable[[App, str | None], Finding]


def check_program(app: App, model: str | None) -> Finding:
    """The versions at work."""
    words = f"pocketpref {pocketpref.__version__}, Python {platform.python_version()}, "
    return Finding("program", "ok", words + f"{platform.system()} {platform.machine()}")


def check_settings(app: App, model: str | None) -> Finding:
    """The configuration can be read."""
    app.config  # noqa: B018 - loading it is the check
    there = app.places.config_file.is_file()
    return Finding("settings", "ok", str(app.places.config_file) if there else "defaults (no file)")


def check_attributes(app: App, model: str | None) -> Finding:
    """The attribute bank, with the user's own, can be read."""
    from pocketpref.attributes import AttributeBank

    bank = AttributeBank.standard(app.places.attributes)
    return Finding("attributes", "ok", plural(len(bank), "attribute"))


def check_key(app: App, model: str | None) -> Finding:
    """Somebody keeps the key, and it fits the vault's header."""
    from pocketpref.vault import Vault

    store = app.key_store()
    if Vault.exists(app.places.vault):
        custody = Vault.custody(app.places.vault)
        if custody != store.kind:
            words = f"the settings say {store.kind}, the vault says {custody}"
            return Finding("key", "wrong", words, "see: pocketpref keys status")
    return Finding("key", "ok", store.describe())


def check_vault(app: App, model: str | None) -> Finding:
    """Every memory of every user can be opened and is unchanged."""
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        return Finding("vault", "ok", f"none yet; it will be {app.places.vault}")
    try:
        with app.vault() as vault:
            users = vault.users()
            memories = sum(sum(1 for _ in vault.store(user).entries()) for user in users)
            info = vault.info()
    except RolledBackError:
        raise
    except TamperedError as error:
        return Finding("vault", "wrong", error.message, _REPAIR)
    return Finding(
        "vault",
        "ok",
        f"{info.path}: {plural(len(users), 'user')}, {plural(memories, 'record')}, all sound "
        f"({info.encryption}, format {info.format})",
    )


def check_freshness(app: App, model: str | None) -> Finding:
    """An older copy of the vault would be noticed, and none was put in its place."""
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        return Finding("freshness", "ok", "no vault yet")
    with app.vault() as vault:
        info = vault.info()
    words = plural(info.generation, "change")
    if info.accepted:
        last = info.accepted[-1]
        words += f"; an older copy was accepted ({plural(len(info.accepted), 'time')}, last on "
        words += f"{last.when:%Y-%m-%d}: {last.found:,} changes instead of {last.expected:,})"
        return Finding("freshness", "note", words)
    if not info.anchored:
        words += f", but they cannot be noted in {app.places.state}"
        return Finding("freshness", "wrong", words, "an older copy would not be noticed")
    return Finding("freshness", "ok", f"{words}, noted in {app.places.state} too")


def check_permissions(app: App, model: str | None) -> Finding:
    """Nobody else on this machine can read what is kept."""
    if os.name == "nt":
        return Finding("permissions", "note", "not checked on Windows: the profile folder's apply")
    secret = [app.places.vault, app.config.key_file, app.config.passphrase_file]
    exposed = [str(path) for path in secret if path is not None and _is_exposed(path)]
    if exposed:
        words = f"other users of this machine may read {', '.join(exposed)}"
        return Finding("permissions", "wrong", words, "chmod go= on them")
    if _is_exposed(app.places.data):
        words = f"others may see the names of the files in {app.places.data}, not read them"
        return Finding("permissions", "note", words, "chmod go= on the folder")
    return Finding("permissions", "ok", "nobody else on this machine can read what is kept")


def _is_exposed(path: Path) -> bool:
    return path.exists() and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def check_model(app: App, model: str | None) -> Finding:
    """The model's file is there and unchanged, and it loads."""
    from pocketpref.backends.llama import LlamaModel
    from pocketpref.catalogue import Catalogue

    catalogue = Catalogue(app.places.models)
    entry = catalogue.find(model if model is not None else app.config.model)
    digest = catalogue.digest(entry)
    loaded = LlamaModel(entry.path, name=entry.handle, sha256=digest)
    try:
        words = f"{entry.handle}, {size(entry.bytes)}, {loaded.context_size:,} tokens of context"
    finally:
        loaded.close()
    return Finding("model", "ok", f"{words}, sha256 {digest[:16]}")


def check_embedder(app: App, model: str | None) -> Finding:
    """The embedder loads and embeds."""
    from pocketpref.backends.onnx.embedder import open_embedder

    embedder = open_embedder(app.config.embedder)
    shape = embedder.embed(["a sentence to try it"]).shape
    return Finding("embedder", "ok", f"{embedder.name}, {shape[1]} dimensions")


def check_telemetry(app: App, model: str | None) -> Finding:
    """The telemetry of onnxruntime was turned off before it was loaded."""
    from pocketpref.backends.onnx.embedder import load_onnxruntime, telemetry_note

    load_onnxruntime()
    if note := telemetry_note():
        return Finding("telemetry", "wrong", note)
    return Finding("telemetry", "ok", "off: onnxruntime was loaded with ORT_DISABLE_TELEMETRY=1")


def check_gpu(app: App, model: str | None) -> Finding:
    """Whether llama.cpp can use a GPU."""
    from pocketpref.backends.llama import gpu_available

    if gpu_available():
        return Finding("gpu", "ok", "llama.cpp puts the model on the GPU")
    return Finding("gpu", "note", "none, or this build of llama.cpp has no GPU support: CPU only")


def check_disk(app: App, model: str | None) -> Finding:
    """There is room for more."""
    folder = next(p for p in (app.places.data, *app.places.data.parents) if p.exists())
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE:
        return Finding("disk", "wrong", f"{size(free)} free", "make room, or set POCKETPREF_HOME")
    return Finding("disk", "ok", f"{size(free)} free")


def check_egress(app: App, model: str | None) -> Finding:
    """What may leave, and whether everybody's log of what left is whole."""
    from pocketpref.egress import EgressGate, Known
    from pocketpref.vault import Vault

    if not Vault.exists(app.places.vault):
        return Finding("egress", "ok", "off: nothing may leave")
    with app.vault() as vault:
        doors = [EgressGate(vault.store(user), (), Known(list, (), ())) for user in vault.users()]
        open_to = sum(len(door.live()) for door in doors)
        logs = [door.verify() for door in doors]
    if not all(log.ok for log in logs):
        words = "the log of what left is not whole"
        return Finding("egress", "wrong", words, "see: pocketpref egress verify")
    left = plural(sum(log.kept + len(log.forgotten) for log in logs), "request")
    if open_to:
        words = f"{plural(open_to, 'destination')} allowed, {left} left, all on a log that is whole"
        return Finding("egress", "note", words, "see: pocketpref egress status")
    return Finding("egress", "ok", f"off: nothing may leave ({left} did)")


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
