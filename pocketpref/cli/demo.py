"""demo: a tour in half a minute, on a real person's choices, in a throw-away vault."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import console, note, one_line, printable, report
from pocketpref.cli.params import TEXT, model_option
from pocketpref.cli.profile import draw_preferences
from pocketpref.formatting import duration, plural, size

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.records import Feedback

_REPLY_TOKENS = 160
_MORE_PROMPTS = ("Why is the sky blue?", "How do I prepare for a job interview?")
_SEED = 7  # both answers are drawn with it, so that only the personalization differs
_NETWORK_MODULES = ("pocketpref.backends.huggingface", "huggingface_hub")


@click.command()
@click.option("--prompt", type=TEXT, help="Compare the answers to this prompt.")
@model_option
@pass_app
def demo(app: App, *, prompt: str | None, model: str | None) -> None:
    """See it work: what a real person chose, what that says, and how an answer changes.

    Takes about half a minute on two cores. Your own vault is not touched: everything happens in a
    throw-away one, which is deleted at the end. No network is used.

    Example: pocketpref demo
    """
    from pocketpref import samples

    began = time.monotonic()
    prompts = [prompt] if prompt else [samples.DEMO_PROMPT, *_MORE_PROMPTS]
    with app.throwaway_pocket(model) as pocket:
        _heading("1. Thirty choices of one person")
        remember_samples(pocket, samples.sample_pairs("descriptions"))
        _heading("2. What they say")
        draw_preferences(pocket.profile())
        _heading("3. One prompt, plain and personalized")
        compare_replies(pocket, prompts)
        _heading("4. What was kept, and where")
        vault = show_storage(pocket)
    report("It has been deleted." if not vault.exists() else f"It could not be deleted: {vault}")
    if not any(name in sys.modules for name in _NETWORK_MODULES):
        report(
            "Nothing left this machine: no part of pocketpref that can use a network was loaded."
        )
    report(
        f"\nThat took {duration(time.monotonic() - began)}. Your turn: `pocketpref ask`, "
        "`pocketpref chat`, or `pocketpref import conversations.json`."
    )


def _heading(text: str) -> None:
    from rich.text import Text

    report()
    console().print(Text(text, style="bold"))
    sys.stdout.flush()


def remember_samples(pocket: Pocket, pairs: Sequence[Feedback]) -> None:
    """Store sample choices, and show how long it took and one of them."""
    began = time.perf_counter()
    pocket.add_many(pairs)
    milliseconds = (time.perf_counter() - began) * 1000
    report(
        f"{plural(len(pairs), 'choice')} between two answers, encrypted and on disk in "
        f"{milliseconds:.0f} ms. For example:"
    )
    pair = pairs[0].pair
    for name in ("prompt", "chosen", "rejected"):
        report(f"  {name:8}  {one_line(getattr(pair, name), 84)}")


def compare_replies(pocket: Pocket, prompts: Sequence[str]) -> None:
    """Show the plain and the personalized reply to the first prompt, and count words for all."""
    from rich import box
    from rich.table import Table

    from pocketpref.records import Sampling

    sampling = Sampling(max_tokens=_REPLY_TOKENS, seed=_SEED)
    report(f"prompt: {one_line(prompts[0], 300)}")
    told = pocket.personalize(prompts[0]).instruction
    report(f"said to the model: {told}" if told else "nothing is said to the model")
    replies = []
    for number, prompt in enumerate(prompts, 1):
        note(f"answering {number} of {len(prompts)}, plain and personalized ...")
        plain = pocket.reply(prompt, plain=True, sampling=sampling)
        replies.append((plain.strip(), pocket.reply(prompt, sampling=sampling).strip()))
    columns = Table(box=box.SQUARE, expand=True)
    for place, name in enumerate(("plain", "personalized")):
        words = len(replies[0][place].split())
        columns.add_column(f"{name}: {plural(words, 'word')}", ratio=1, overflow="fold")
    columns.add_row(*map(printable, replies[0]))
    console().print(columns)
    if len(prompts) > 1:
        counts = [[len(reply.split()) for reply in both] for both in zip(*replies, strict=True)]
        plain_mean, personal_mean = (sum(each) / len(each) for each in counts)
        report(
            f"Over {len(prompts)} prompts: {plain_mean:.0f} words plain, {personal_mean:.0f} "
            "personalized. The starter model is small; larger ones follow better (docs/models.md)."
        )


def show_storage(pocket: Pocket) -> Path:
    """Show what was kept, where and how, and return the vault's path."""
    status = pocket.status()
    vault = Path(status["vault"]["path"])
    kept = sum(f.stat().st_size for f in vault.parent.iterdir() if f.is_file())
    report(f"kept in:    {vault} ({size(kept)})")
    report(f"encryption: {status['vault']['encryption']}")
    report(f"key:        {status['vault']['key_custody']}")
    report(f"egress:     {status['egress']}")
    return vault
