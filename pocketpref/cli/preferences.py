"""rank, state, ask and correct: how you like to be answered, said, asked and used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, one_line, report, report_json
from pocketpref.cli.params import TEXT, MisuseError, json_option, model_option, user_option
from pocketpref.errors import InputError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.personalization.questions import Question
    from pocketpref.pocket import Pocket
    from pocketpref.results import Preference


@click.command()
@click.argument("prompt", type=TEXT)
@click.argument("answers", type=TEXT, nargs=-1, required=True, metavar="ANSWER...")
@json_option
@user_option
@model_option
@pass_app
def rank(
    app: App,
    *,
    prompt: str,
    answers: tuple[str, ...],
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Say how likely you are to prefer each of several answers.

    No model is needed: your past choices decide. Texts can be @FILE or - as everywhere.

    Example: pocketpref rank "Explain DNS" @short.txt @long.txt
    """
    with app.pocket(user, model) as pocket:
        probabilities = pocket.rank(prompt, answers)
        choices = pocket.counts().memories
    if as_json:
        report_json({"probabilities": list(probabilities), "choices": choices})
        return
    for number, (answer, probability) in enumerate(zip(answers, probabilities, strict=True), 1):
        report(f"{probability:4.0%}  answer {number}: {one_line(answer, 70)}")
    note(f"from {plural(choices, 'choice')}")


@click.command()
@click.argument("text", type=TEXT)
@user_option
@model_option
@pass_app
def state(app: App, *, text: str, user: str | None, model: str | None) -> None:
    """Say in your own words how you like to be answered. It counts from the next answer on.

    `pocketpref profile` lists what you stated; `pocketpref summary` shows what may be sent along.

    Example: pocketpref state "Short answers, please, in metric units"
    """
    with app.pocket(user, model) as pocket:
        pocket.state(text)
    note("kept: it counts from the next answer on")


@click.command()
@click.argument("preference", type=TEXT)
@click.option("--wrong", is_flag=True, help="You do not like that.")
@click.option("--only", type=TEXT, metavar="TOPIC", help="It holds for this topic alone.")
@user_option
@model_option
@pass_app
def correct(
    app: App, *, preference: str, wrong: bool, only: str | None, user: str | None, model: str | None
) -> None:
    """Correct what was learned: it is wrong, or it holds for one topic only.

    PREFERENCE is a name from `pocketpref profile`, such as "short answers".

    Example: pocketpref correct "short answers" --only cooking
    """
    if wrong == (only is not None):
        raise MisuseError("choose one of --wrong and --only TOPIC")
    with app.pocket(user, model) as pocket:
        found = _named(pocket, preference)
        pocket.correct(found.name, found.pole, only=only or "")
    note(f"{found.likes}: {'only for that topic' if only else 'not said any more'}")


def _named(pocket: Pocket, name: str) -> Preference:
    """The belief of this name.

    Raises:
        InputError: nothing of this name is believed.
    """
    wanted = name.strip().casefold()
    for found in pocket.preferences():
        if wanted in {found.likes.casefold(), f"{found.name}:{found.pole}".casefold()}:
            return found
    raise InputError(
        "nothing of this name is believed of you", hint="`pocketpref profile` lists the names"
    )


@click.command()
@click.option(
    "-n", "count", type=click.IntRange(1, 50), default=5, show_default=True, help="How many pairs."
)
@user_option
@model_option
@pass_app
def ask(app: App, *, count: int, user: str | None, model: str | None) -> None:
    """Choose between a few pairs of answers, picked so that they tell most about you.

    It takes about a minute. Your choices are remembered like all others.

    Example: pocketpref ask -n 5
    """
    with app.pocket(user, model) as pocket:
        skipped: list[str] = []
        for number in range(1, count + 1):
            question = pocket.question(skipped=skipped)
            if question is None:
                note("there is nothing left to ask")
                break
            report(f"\n{number} of {count}: {question.prompt}")
            choice = _put(question)
            if choice == "q":
                break
            if choice not in {"a", "b"}:
                skipped.append(question.prompt)
                continue
            first, second = question.answers
            chosen, rejected = (first, second) if choice == "a" else (second, first)
            pocket.add(question.prompt, chosen, rejected, meta={"asked": "ask"})
        sure = [found.likes for found in pocket.preferences() if found.applied]
    if sure:
        report(f"You like: {', '.join(sure)}. That counts from the next answer on.")
    else:
        report("Nothing is sure yet. More choices help: /prefer in `pocketpref chat`, or import.")


def _put(question: Question) -> str:
    """Show both answers; return the first letter of what the person said."""
    for letter, answer in zip("ab", question.answers, strict=True):
        report(f"\n({letter}) {answer}")
    said = str(
        click.prompt("\na, b, s to skip or q to stop", default="s", show_default=False, err=True)
    )
    return said.strip().casefold()[:1]
