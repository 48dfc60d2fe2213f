"""serve: OpenAI's interface to a Pocket, for programs on this machine."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import model_option, user_option
from pocketpref.cli.console import note
from pocketpref.cli.extras import load
from pocketpref.errors import StorageError

PORT = 8765
TOKEN_FILE = "server-token"  # noqa: S105 - the name of a file
"""Where the token is kept, in the folder of the vault."""

_TOKEN = re.compile(r"[!-~]{32,1000}")  # what a header can carry, as one word


@click.command()
@click.option(
    "--port",
    type=click.IntRange(min=0, max=65535),
    default=PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0 for a free one.",
)
@click.option("--no-token", is_flag=True, help="Answer every program on this machine, of any user.")
@user_option
@model_option
@pass_app
def serve(app: App, *, port: int, no_token: bool, user: str | None, model: str | None) -> None:
    """Serve programs on this machine with OpenAI's interface, until Ctrl-C.

    Any OpenAI client works: its base URL is http://127.0.0.1:PORT/v1, its API key the content of
    the file that is named. The model `pocketpref` answers here, with what was learned;
    `pocketpref-plain` without; openai:MODEL and anthropic:MODEL elsewhere, if you allowed that.

    Example: pocketpref serve --port 8765
    """
    server = load("pocketpref.server.openai.app", "serve")
    path = None if no_token else app.places.data / TOKEN_FILE
    token = None if path is None else _token(path)

    def ready(port: int, stop: Callable[[], None]) -> None:
        del stop  # Ctrl-C does that here
        note(f"serving http://127.0.0.1:{port}/v1; Ctrl-C ends it")
        note(f"API key: in {path}" if path else "API key: none is asked for")

    with app.pocket(user, model) as pocket:
        server.serve(pocket, port, token, ready=ready)


def _token(path: Path) -> str:
    """The token that is kept, or a new one; the file is its owner's alone."""
    from pocketpref.files import new_private_file, private_folder, storage_errors

    with storage_errors(path):
        if not path.exists():
            private_folder(path.parent)
            with new_private_file(path) as file:
                file.write(secrets.token_urlsafe(32).encode() + b"\n")
        token = path.read_bytes().strip().decode("ascii", errors="replace")
    if not _TOKEN.fullmatch(token):
        raise StorageError(f"{path} holds no token", hint="delete it: a new one is made")
    return token
