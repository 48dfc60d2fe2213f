"""adapters list|check|ask: the policies of a model, and which of them suits you."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, print_table, report, report_json, table
from pocketpref.cli.params import json_option, model_option, user_option
from pocketpref.formatting import size

if TYPE_CHECKING:
    from pocketpref.lora import Adapter, HypernetworkManifest
    from pocketpref.methods.palm.portfolio import Portfolio
    from pocketpref.records import Pair

_MOST_WORDS = 120  # of an answer that a person is asked about


@click.group()
def adapters() -> None:
    """Small changes to the model's weights: one base model, several ways of answering.

    A policy is an adapter that was trained for a weighting of traits, such as brevity and
    plainness. Which one suits you is inferred from your choices; `pocketpref profile` says what.

    Example: pocketpref adapters list
    """


@adapters.command("list")
@json_option
@user_option
@model_option
@pass_app
def list_adapters(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """List the policies for the model in use, what they earn, and your own adapters.

    * marks the policy that your choices ask for now. Rewards lie between 0 and 1 and were measured
    on prompts that the policies were not trained on. Where a hypernetwork is there for the model,
    an adapter can also be written for you alone.

    Example: pocketpref adapters list --json
    """
    with app.pocket(user, model) as pocket:
        portfolio = pocket.policies.portfolio()
        own = pocket.policies.own()
        writer = pocket.tailoring.network()
        policy = pocket.policies.choice(keep=False).policy if portfolio else None
    chosen = policy.name if policy else None
    if as_json:
        report_json(_as_dict(portfolio, own, chosen, writer))
        return
    if portfolio is None:
        note("there are no policies for this model")
    else:
        listing = table("", "policy", "size", *portfolio.traits)
        for column in listing.columns[2:]:
            column.justify = "right"
        for each in portfolio.policies:
            listing.add_row(
                "*" if each.name == chosen else "",
                each.name,
                size(sum(portfolio.manifest(part).size for part in each.parts)),
                *(f"{reward:.2f}" for reward in each.rewards),
            )
        print_table(listing)
    if writer is not None:
        kinds = " and ".join(writer.targets)
        report(
            f"an adapter of rank {writer.rank} on {kinds} can be written for you: chat --adapter"
        )
    for name, adapter in own.items():
        report(f"{name}  {adapter.manifest.name}, {size(len(adapter.data))}, made for you, sealed")


def _as_dict(
    portfolio: Portfolio | None,
    own: dict[str, Adapter],
    chosen: str | None,
    writer: HypernetworkManifest | None,
) -> dict[str, Any]:
    policies = portfolio.policies if portfolio else ()
    written_by = None
    if writer is not None:
        written_by = {"sha256": writer.sha256, "rank": writer.rank, "targets": list(writer.targets)}
    return {
        "traits": list(portfolio.traits) if portfolio else [],
        "policies": [
            {
                "name": policy.name,
                "parts": [[part.file, part.scale] for part in policy.parts],
                "rewards": list(policy.rewards),
            }
            for policy in policies
        ],
        "chosen": chosen,
        "guarantee": dict(portfolio.guarantee) if portfolio else {},
        "own": [{"id": name, "bytes": len(adapter.data)} for name, adapter in own.items()],
        "hypernetwork": written_by,
    }


@adapters.command("check")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Its manifest [default: the .json file of the same name].",
)
@model_option
@pass_app
def check(app: App, *, file: Path, manifest: Path | None, model: str | None) -> None:
    """Check an adapter file against its manifest and the model, then try it on.

    Nothing of it reaches the model before its structure, its numbers and the model's hash have been
    checked. Trying on proves that it changes what the model says, and that taking it off restores
    the model to the last bit.

    Example: pocketpref adapters check brief.gguf
    """
    from pocketpref.backends.llama import LlamaModel
    from pocketpref.lora import Adapter, Blend
    from pocketpref.models import Catalogue

    adapter = Adapter.load(manifest or file.with_suffix(".json"), file)
    catalogue = Catalogue(app.places.models)
    entry = catalogue.find(model if model is not None else app.config.model)
    base = LlamaModel(entry.path, name=entry.handle, sha256=catalogue.digest(entry))
    try:
        base.adapted(Blend(((adapter, 1.0),)))
    finally:
        base.close()
    found = adapter.manifest
    report(
        f"{found.name}: rank {found.rank}, alpha {found.alpha:g}, on {', '.join(found.targets)}, "
        f"{size(found.size)}, licence {found.licence}"
    )
    report(f"it fits {entry.handle}, changes what it says, and leaves no trace when taken off")


@adapters.command("ask")
@click.option("-n", "count", type=click.IntRange(1, 50), default=5, help="How many questions [5].")
@user_option
@model_option
@pass_app
def ask(app: App, *, count: int, user: str | None, model: str | None) -> None:
    """Be asked which of two answers you prefer, the most telling question first.

    Your choices are remembered like any others. Questions and answers are of the samples that come
    with pocketpref (real ones; see `pocketpref demo`).

    Example: pocketpref adapters ask -n 8
    """
    with app.pocket(user, model) as pocket:
        left = short_questions()
        for number in range(1, count + 1):
            pair = pocket.policies.question(left)
            if pair is None:
                note("there is nothing left to ask")
                break
            left.remove(pair)
            answers = (pair.chosen, pair.rejected)
            report(f"\n{number}. {pair.prompt}")
            for letter, answer in zip("AB", answers, strict=True):
                report(f"\n{letter}: {answer}")
            said = click.prompt(
                "\nWhich do you prefer? (s: skip, q: enough)",
                type=click.Choice(["a", "b", "s", "q"], case_sensitive=False),
                err=True,
            )
            if said == "q":
                break
            if said != "s":
                place = "ab".index(said)
                pocket.add(pair.prompt, answers[place], answers[1 - place], meta={"asked": "palm"})
        for line in pocket.policies.words():
            report(line)


def short_questions() -> list[Pair]:
    """Return the sample pairs whose answers are short enough to be read at a terminal."""
    from pocketpref.records import Pair
    from pocketpref.samples import SAMPLES, sample_pairs

    pairs = [item.pair for name in SAMPLES for item in sample_pairs(name)]
    short = [p for p in pairs if max(len(p.chosen.split()), len(p.rejected.split())) <= _MOST_WORDS]
    # The order must not give away which answer somebody else preferred.
    turned = [Pair(p.prompt, *sorted((p.chosen, p.rejected))) for p in short]
    return list({pair.prompt: pair for pair in turned}.values())
