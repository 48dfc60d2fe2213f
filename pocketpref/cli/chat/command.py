"""chat: a conversation with the local model that learns from what you prefer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.chat.session import ChatSession, shortened
from pocketpref.cli.chat.terminal import TerminalView, line_reader
from pocketpref.cli.chat.turns import ChatOptions
from pocketpref.cli.context import App, pass_app, without_network
from pocketpref.cli.egress.rendering import somebody_to_ask, terminal_ask
from pocketpref.cli.learn import learn_visibly
from pocketpref.cli.output import note
from pocketpref.cli.params import (
    TEXT,
    MisuseError,
    method_option,
    model_option,
    offline_option,
    user_option,
)
from pocketpref.cli.summary import offer_refresh
from pocketpref.errors import InputError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.chat_history import ChatRecorder
    from pocketpref.personalization.conditions import PersonalizeMethod
    from pocketpref.pocket import Pocket
    from pocketpref.records import Sampling

_LEARN_SECONDS = 60.0  # at most, when the chat ends; the rest waits for `pocketpref learn`


@click.command()
@click.option("-c", "--continue", "go_on", is_flag=True, help="Go on with the chat that is kept.")
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Keep this chat, sealed in the vault, in place of the one before "
    "[default: keep_chat in the configuration, or no; with -c: yes].",
)
@click.option("-s", "--system", type=TEXT, metavar="TEXT", help="System prompt.")
@click.option(
    "-o",
    "--option",
    "settings",
    nargs=2,
    multiple=True,
    metavar="KEY VALUE",
    help="temperature, top_k, top_p, max_tokens or seed; may be given several times.",
)
@click.option("--to", metavar="DEST", help="Have this remote model answer; see /remote.")
@method_option
@click.option("--policy", is_flag=True, help="Have the model wear the policy that suits you.")
@click.option("--adapter", is_flag=True, help="Have it wear an adapter that is written for you.")
@click.option(
    "--best-of",
    type=click.IntRange(2, 16),
    metavar="N",
    help="Draw N answers and show the one you would most likely prefer.",
)
@click.option("--no-stream", is_flag=True, help="Show an answer when it is complete.")
@click.option("--no-learn", is_flag=True, help="Remember and learn nothing from this chat.")
@offline_option
@user_option
@model_option
@pass_app
def chat(
    app: App,
    *,
    go_on: bool,
    keep: bool | None,
    system: str | None,
    settings: tuple[tuple[str, str], ...],
    to: str | None,
    method: PersonalizeMethod,
    policy: bool,
    adapter: bool,
    best_of: int | None,
    no_stream: bool,
    no_learn: bool,
    offline: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Talk to the local model, answered the way you like it; without --to no network is used.

    /help in the chat lists its commands: /retry, /prefer, /edit, /why, /plain, /forget, /summary,
    /remote, /preview, /local, !multi, !edit, exit. With --to a remote model answers; what may not
    leave yet is shown first, and you are asked.

    The conversation itself is not kept unless you say so (--keep), only the choices you make in it,
    and what left in the log of what left. The last one that was kept is gone on with by -c, and
    forgotten by `pocketpref forget --chat` or with a choice that was made in it.

    !edit and /edit call $EDITOR on a file in memory where the system has such a folder, else on a
    file that is deleted as soon as the editor closes; some editors keep copies or a history of
    their own.

    With --policy the model's weights are changed instead of your prompts, if your choices show that
    you go by the traits that policies are made for; see `pocketpref adapters`. With --adapter they
    are changed by what is written for you alone, once you have a summary, from it and your newest
    choices: an experiment, trained on people made by rule (docs/profile-to-peft.md).

    Example: pocketpref chat -s "You are a patient teacher" -o temperature 0.3
    """
    if offline and to is not None:
        raise MisuseError("choose one of --offline and --to")
    if go_on and to is not None:
        raise MisuseError("what was kept goes on here: leave out --to, and say /remote in the chat")
    if best_of is not None and to is not None:
        raise MisuseError("--best-of is for answers of the local model; leave out --to")
    if policy + adapter + (method != "auto") > 1:
        raise MisuseError("choose one of --method, --policy and --adapter")
    options = ChatOptions(
        system=system,
        sampling=parsed_sampling(settings),
        stream=not no_stream,
        record=not no_learn,
        to=to,
        ask=terminal_ask(for_this_chat=True) if somebody_to_ask() else None,
        offline=offline,
        method="palm" if policy else "profile-to-peft" if adapter else method,
        best_of=best_of or 1,
    )
    guard = without_network(offline, own_process=app.own_process)
    with guard, app.pocket(user, model) as pocket:
        notebook = pocket.keep_conversation(go_on=go_on)
        if keep is None:
            keep = go_on or (app.config.keep_chat == "yes" and not no_learn)
        view = TerminalView(app.environ)
        conversation = ChatSession(pocket, view, options, notebook, keep=keep)
        greet(pocket, options, notebook, keep=keep)
        converse(conversation, line_reader())
        if not conversation.recorded:
            return
        if options.method == "exact":
            note(f"learning from {plural(conversation.recorded, 'choice')} (Ctrl-C: later)")
            learn_visibly(pocket, _LEARN_SECONDS)
            offer_refresh(pocket)
            return
        sure = [found.likes for found in pocket.preferences() if found.applied]
        said = f"known so far: {', '.join(sure)}" if sure else "nothing is sure yet"
        note(f"{plural(conversation.recorded, 'choice')} remembered; {said}")


def greet(pocket: Pocket, options: ChatOptions, notebook: ChatRecorder, *, keep: bool) -> None:
    """Say who chats with which model, where an earlier chat ended, and whether this one is kept."""
    status, to = pocket.status(), options.to
    note(
        f"Chatting with {to or status['model']} as {status['user']}, "
        f"{plural(status['pairs'], 'choice')} remembered, "
        f"egress: {status['egress'].partition(',')[0]}"
        f"{'' if to else ', runs on: ' + status['device']}\n"
        "Type 'exit' or press Ctrl-D to leave, '/help' for what else there is"
    )
    if options.method == "profile-to-peft" and pocket.tailoring.profile() is None:
        note("an adapter is written once there is a summary: pocketpref summary refresh")
    if notebook.earlier:
        last = notebook.earlier[-1]
        note(f"going on after {plural(len(notebook.earlier), 'exchange')}; the last one:")
        note(f"> {shortened(last.prompt)}")
        note(shortened(last.answer))
    if keep:
        note("this chat is kept, sealed; `pocketpref chat -c` goes on with it")


def converse(conversation: ChatSession, read: Callable[[str], str]) -> None:
    """Pass lines to a chat until the person leaves; Ctrl-C at the prompt drops the line."""
    going_on = True
    while going_on:
        try:
            going_on = conversation.hear(read("" if conversation.in_multi else "> "))
        except EOFError:
            note("")
            return
        except KeyboardInterrupt:
            conversation.abandon_input()
            note("\n(type exit or press Ctrl-D to leave)")
        except InputError as error:
            note(error.words)


def parsed_sampling(settings: tuple[tuple[str, str], ...]) -> Sampling | None:
    """Return what the ``-o KEY VALUE`` options set, or None without any.

    Raises:
        MisuseError: a key is unknown, or its value is no number.
    """
    from pocketpref.records import Sampling

    kinds: dict[str, Callable[[str], Any]] = {
        "temperature": float,
        "top_k": int,
        "top_p": float,
        "max_tokens": int,
        "seed": int,
    }
    values: dict[str, Any] = {}
    for key, value in settings:
        if key not in kinds:
            raise MisuseError(f"-o knows {', '.join(kinds)}")
        try:
            values[key] = kinds[key](value)
        except ValueError:
            raise MisuseError(f"-o {key} must be a number") from None
    return Sampling(**values) if values else None
