"""personalize and score: one prompt, one pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, print_table, report, report_json, table
from pocketpref.cli.params import TEXT, json_option, method_option, model_option, user_option

if TYPE_CHECKING:
    from pocketpref.personalization.conditions import PersonalizeMethod
    from pocketpref.results import Personalized


@click.command()
@click.argument("prompt", type=TEXT)
@click.option("-s", "--system", type=TEXT, help="System prompt for --json's messages.")
@method_option
@json_option
@user_option
@model_option
@pass_app
def personalize(
    app: App,
    *,
    prompt: str,
    system: str | None,
    method: PersonalizeMethod,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Print a prompt with what was learned added to it, ready for any model.

    The prompt stays as it is if nothing is sure. PROMPT is text, - or @FILE. `pocketpref profile`
    shows what is added, and why.

    Example: echo "Explain DNS" | pocketpref personalize -
    """
    with app.pocket(user, model) as pocket:
        result = pocket.personalize(prompt, system=system, method=method)
    if as_json:
        report_json(result.to_dict())
        return
    report(result.prompt)
    note(addition_in_words(result, method))


def addition_in_words(result: Personalized, method: str) -> str:
    """Say what was added to a prompt, and where it comes from."""
    if result.method == "popi":
        return "added your preference summary"
    if result.method == "auto":
        return f"added: {', '.join(result.attributes)}"
    if method == "auto":
        return "added nothing: nothing is sure yet; `pocketpref profile` shows what is likely"
    if method in ("palm", "profile-to-peft"):
        return f"added nothing: {method} changes the model, not the prompt"
    if not result.attributes:
        return "added nothing: no past choice is close enough to this prompt"
    sources = ", ".join(f"{s.id} (similarity {s.similarity:.2f})" for s in result.sources)
    return f"added {', '.join(result.attributes)}, from {sources}"


@click.command()
@click.option("--prompt", type=TEXT, required=True, help="What was asked.")
@click.option("--chosen", type=TEXT, required=True, help="The answer that is preferred.")
@click.option("--rejected", type=TEXT, required=True, help="The other answer.")
@click.option("--attributes", metavar="A,B,C", help="Names to score [default: the whole bank].")
@click.option(
    "--wording",
    type=click.Choice(["text", "names"]),
    help="Inject descriptions, or the paper's bare names [default: the configuration, or text].",
)
@json_option
@user_option
@model_option
@pass_app
def score(
    app: App,
    *,
    prompt: str,
    chosen: str,
    rejected: str,
    attributes: str | None,
    wording: str | None,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Score attributes on a pair of answers, without remembering anything.

    The score is the anchored margin in nats: how much more the model favours the preferred answer
    when it is told the attribute. Margins closer than the noise are not told apart.

    Attributes: Base, Formal, Concise, Vivid, Modest and so on; a table without --attributes names
    all of them.

    Example: pocketpref score --prompt "Explain DNS" --chosen @a.txt --rejected @b.txt
    """
    names = [name for name in attributes.split(",") if name.strip()] if attributes else None
    with app.pocket(user, model) as pocket:
        scores = pocket.score(
            prompt,
            chosen,
            rejected,
            attributes=names,
            wording=wording or app.config.wording,  # type: ignore[arg-type]  # click checked it
        )
    if as_json:
        report_json(scores.to_dict())
        return
    listing = table("attribute", "margin (nats)")
    listing.columns[1].justify = "right"
    for name, margin in sorted(scores.margins.items(), key=lambda item: -item[1]):
        listing.add_row(name, f"{margin:+.2f}")
    print_table(listing)
    note(
        f"{scores.model}: chosen {scores.chosen:.1f}, rejected {scores.rejected:.1f} nats by "
        f"itself; noise {scores.noise:.2f}"
    )
