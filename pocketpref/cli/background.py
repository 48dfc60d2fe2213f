"""service: have the system learn in the background, when the machine has nothing better to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, report
from pocketpref.cli.params import dry_run_option, model_option, user_option
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.integrations.scheduler import ScheduledService
    from pocketpref.results import Progress

_BUDGET = 900.0


class _NotNowError(Exception):
    """The machine has something better to do."""


@click.group()
def service() -> None:
    """Have the system learn from new choices in the background, when the machine is idle.

    Nothing runs in the background unless you install this.

    Example: pocketpref service install --dry-run
    """


@service.command("install")
@dry_run_option
@user_option
@model_option
@pass_app
def install(app: App, *, dry_run: bool, user: str | None, model: str | None) -> None:
    """Write the file by which this system's scheduler has us learn, and say how to begin.

    It is a systemd timer, a launchd agent or a task of Windows. The vault must open without a
    question: by the system's keyring, a key file, or POCKETPREF_PASSPHRASE_FILE.

    Example: pocketpref service install --dry-run
    """
    from pocketpref.files import building, private_folder, storage_errors

    found = _service(app, user, model)
    for path, content in found.files.items():
        if dry_run:
            report(f"{path}:\n{content}")
        else:
            with storage_errors(path):
                private_folder(path.parent)
                with building(path, replace=True) as file:
                    file.write(content.encode())
            report(f"written: {path}")
    note(f"to begin: {found.start}")


@service.command("remove")
@dry_run_option
@pass_app
def remove(app: App, *, dry_run: bool) -> None:
    """Delete that file, and say how to have the scheduler forget it.

    Example: pocketpref service remove --dry-run
    """
    gone = remove_files(app, dry_run=dry_run)
    for path in gone:
        report(f"{'would delete' if dry_run else 'deleted'} {path}")
    if not gone:
        report("nothing is installed")


def remove_files(app: App, *, dry_run: bool) -> list[Path]:
    """Delete what ``install`` wrote. Returns what there was."""
    from pocketpref.files import storage_errors

    found = _service(app, None, None)
    there = [path for path in found.files if path.exists()]
    if there:
        note(f"to end it: {found.stop}")
    for path in there if not dry_run else ():
        with storage_errors(path):
            path.unlink()
    return there


@service.command("run")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    default=_BUDGET,
    show_default=True,
    metavar="SECONDS",
    help="Stop after this time; the next call goes on.",
)
@user_option
@model_option
@pass_app
def run(app: App, *, budget: float, user: str | None, model: str | None) -> None:
    """Learn, but only while the machine is idle and not on its battery; what the service calls.

    It ends as soon as other programs want the processor. What was learned until then is kept.

    Example: pocketpref service run --budget 60
    """
    from pocketpref.integrations.scheduler import IdleWatch

    watch = IdleWatch()
    if reason := watch.first():
        note(f"not now: {reason}")
        return

    def look(step: Progress) -> None:
        del step
        if reason := watch.reason():
            raise _NotNowError(reason)

    with app.pocket(user, model) as pocket:
        before = pocket.counts().learned
        try:
            pocket.learn(budget=budget, on_progress=look)
        except _NotNowError as error:
            note(f"stopped: {error}")
        learned = pocket.counts().learned - before
    report(f"learned from {plural(learned, 'choice')}")


def _service(app: App, user: str | None, model: str | None) -> ScheduledService:
    from pocketpref.integrations import scheduler

    options = [*(["--user", user] if user else []), *(["--model", model] if model else [])]
    return scheduler.service(app.environ, options)
