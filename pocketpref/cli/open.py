"""open: the page in the browser where one sees and decides."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import model_option, user_option
from pocketpref.cli.console import note
from pocketpref.cli.extras import load
from pocketpref.phrases import plural

if TYPE_CHECKING:
    from pocketpref.server.web.run import Opening

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
                _show(file, app.places.state, opening)

        desk = WebContext(pocket, Machine(app.places, app.config, app.environ))
        was_idle = page.serve(desk, port, idle=idle * 60, ready=ready, entered=file.close)
    note(f"closed: not used for {plural(idle, 'minute')}" if was_idle else "closed")


def _show(file: ExitStack, folder: Path, opening: Opening) -> None:
    """Start the browser on a file that posts the code: a command line would show an address."""
    import webbrowser

    from pocketpref.server.web.session import opening_file

    path = file.enter_context(opening_file(folder, opening.port, opening.code))
    # A browser for terminals stays until it is left, and the page must be served meanwhile.
    start = threading.Thread(target=webbrowser.open, args=(path.as_uri(),), daemon=True)
    start.start()
