"""models ls|show|default|pull|rm|prepare: the language models on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import (
    ProgressLines,
    confirm,
    note,
    print_table,
    progress_bar,
    report,
    report_json,
    table,
)
from pocketpref.cli.params import dry_run_option, json_option, yes_option
from pocketpref.config import Config
from pocketpref.formatting import size

if TYPE_CHECKING:
    from pocketpref.models import Catalogue, ModelEntry

_PARTS = 10  # of a download, each told by a line where there is no bar


def _catalogue(app: App) -> Catalogue:
    from pocketpref.models import Catalogue

    return Catalogue(app.places.models)


@click.group()
def models() -> None:
    """See, fetch and choose language models. `pull` is the only command that uses a network.

    Example: pocketpref models ls
    """


@models.command("ls")
@json_option
@pass_app
def list_models(app: App, *, as_json: bool) -> None:
    """List the models on this machine; * marks the default.

    Example: pocketpref models ls --json
    """
    catalogue = _catalogue(app)
    default = app.config.model
    entries = [(entry, _is_default(entry, default, catalogue)) for entry in catalogue.ls()]
    if as_json:
        report_json([_as_dict(entry, chosen) for entry, chosen in entries])
        return
    listing = table("", "model", "size", "source")
    listing.columns[2].justify = "right"
    for entry, chosen in entries:
        listing.add_row("*" if chosen else "", entry.handle, size(entry.bytes), entry.source)
    print_table(listing)
    if not entries:
        note("none: `pocketpref models pull HANDLE` fetches one")


def _is_default(entry: ModelEntry, default: str | None, catalogue: Catalogue) -> bool:
    from pocketpref.errors import ModelError, NotFoundError

    try:
        return entry.path == catalogue.find(default).path
    except (ModelError, NotFoundError):
        return False


def _as_dict(entry: ModelEntry, chosen: bool) -> dict[str, Any]:
    return {
        "handle": entry.handle,
        "path": str(entry.path),
        "bytes": entry.bytes,
        "source": entry.source,
        "origin": entry.origin,
        "sha256": entry.sha256,
        "default": chosen,
    }


@models.command("show")
@click.argument("model", metavar="[MODEL]", required=False)
@json_option
@pass_app
def show_model(app: App, *, model: str | None, as_json: bool) -> None:
    """Show where a model (the default one) comes from and where its file is.

    Example: pocketpref models show
    """
    catalogue = _catalogue(app)
    entry = catalogue.find(model if model is not None else app.config.model)
    shape = _as_dict(entry, _is_default(entry, app.config.model, catalogue))
    if as_json:
        report_json(shape)
        return
    for key, value in shape.items():
        words = size(entry.bytes) if key == "bytes" else value
        report(f"{key:8} {words if words not in (None, '') else 'not recorded'}")


@models.command("default")
@click.argument("model", metavar="[MODEL]", required=False)
@pass_app
def default_model(app: App, *, model: str | None) -> None:
    """Print the default model, or choose another.

    Example: pocketpref models default hf:bartowski/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M
    """
    catalogue = _catalogue(app)
    if model is None:
        report(catalogue.find(app.config.model).handle)
        return
    entry = catalogue.find(model)
    replace(Config.load(app.places, {}), model=entry.handle).save(app.places)
    report(entry.handle)
    if app.environ.get("POCKETPREF_MODEL"):
        note("POCKETPREF_MODEL is set and comes before this choice: unset it")
    note("what was learned with another model is learned again by `pocketpref learn`")


@models.command("pull")
@click.argument("model", metavar="MODEL")
@pass_app
def pull(app: App, *, model: str) -> None:
    """Fetch a model from Hugging Face; called again, it goes on where it stopped.

    This is the only command that uses a network. MODEL is hf:ORG/REPO:QUANTIZATION or
    hf:ORG/REPO/FILE.gguf.

    Example: pocketpref models pull hf:bartowski/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M
    """
    from pocketpref.backends import huggingface

    with _download() as show:
        path = huggingface.pull(model, app.places.models, show)
    entry = next(e for e in _catalogue(app).ls() if e.path == path)
    report(entry.handle)
    note(f"`pocketpref models default {entry.handle}` makes it the default")


@contextmanager
def _download() -> Iterator[Callable[[int, int | None], None]]:
    """Progress of a download, told in bytes done and bytes in all."""
    if not sys.stderr.isatty():
        lines = ProgressLines()

        def tell(done: int, total: int | None) -> None:
            whole = size(total) if total else "an unknown size"
            part = done * _PARTS // total if total else 0
            lines(f"pulling: {size(done)} of {whole}", part)

        yield tell
        return
    with progress_bar(count="bytes", clock="left", width=30) as advance:
        yield advance


@models.command("rm")
@click.argument("model", metavar="MODEL")
@dry_run_option
@yes_option
@pass_app
def remove(app: App, *, model: str, dry_run: bool, yes: bool) -> None:
    """Delete a model that was pulled.

    Example: pocketpref models rm hf:bartowski/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M --dry-run
    """
    catalogue = _catalogue(app)
    entry = catalogue.remove(model, dry_run=True)
    if dry_run:
        report(f"would delete {entry.handle} ({size(entry.bytes)})")
        return
    confirm(f"Delete {entry.handle} ({size(entry.bytes)})?", yes=yes)
    catalogue.remove(entry.handle)
    report(f"deleted {entry.handle}")


@models.command("prepare")
@click.argument("model", metavar="[MODEL]", required=False)
@pass_app
def prepare_model(app: App, *, model: str | None) -> None:
    """Make the 16-bit copy of a model (the default one) that learning uses, and print its path.

    `learn` does it by itself when it is first needed; quantized weights score too noisily.

    Example: pocketpref models prepare
    """
    from pocketpref.backends.llama import prepare, unfit_reason

    catalogue = _catalogue(app)
    entry = catalogue.find(model if model is not None else app.config.model)
    folder, digest = app.places.prepared, catalogue.digest(entry)
    path = prepare(entry.path, folder, digest)
    report(str(path))
    if path == entry.path:
        reason = unfit_reason(entry.path, folder) or "there is no room"
        note(f"no copy was made: {reason}; learning uses the model as it is")
