"""demo: a tour in a few minutes, on a real person's choices, in a throw-away vault."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.learn import learn_visibly
from pocketpref.cli.output import console, note, one_line, printable, report
from pocketpref.cli.params import TEXT, model_option
from pocketpref.cli.profile import draw_profile
from pocketpref.formatting import duration, plural, size

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.records import Feedback

_LEARN_SECONDS = 120.0
_REPLY_TOKENS = 120
_SEED = 7  # both answers are drawn with it, so that only the personalization differs
_STRONGEST = 6  # attributes drawn
_NETWORK_MODULES = ("pocketpref.backends.huggingface", "huggingface_hub")


@click.command()
@click.option("--prompt", type=TEXT, help="Compare the answers to this prompt.")
@click.option(
    "--budget",
    type=click.FloatRange(min=1),
    default=_LEARN_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Time for learning.",
)
@model_option
@pass_app
def demo(app: App, *, prompt: str | None, budget: float, model: str | None) -> None:
    """See it work: learn one real person's choices, then answer a prompt plain and personalized.

    Takes under three minutes on two cores. Your own vault is not touched: everything happens in a
    throw-away one, which is deleted at the end. No network is used.

    Example: pocketpref demo
    """
    from pocketpref import samples

    began = time.monotonic()
    pairs = samples.sample_pairs("demo")
    with app.throwaway_pocket(model) as pocket:
        _heading("1. Remember what one person chose")
        remember_samples(pocket, pairs)
        _heading("2. Learn from it, on this machine")
        if learn_visibly(pocket, budget, to_be_continued=False).interrupted:
            raise KeyboardInterrupt
        _heading("3. What was learned, with the choices that say so")
        draw_profile(pocket.profile(), pocket.attributes, _STRONGEST)
        _heading("4. One prompt, plain and personalized")
        compare_replies(pocket, prompt or samples.DEMO_PROMPT)
        _heading("5. What was kept, and where")
        vault = show_storage(pocket)
    report("It has been deleted." if not vault.exists() else f"It could not be deleted: {vault}")
    if not any(name in sys.modules for name in _NETWORK_MODULES):
        report(
            "Nothing left this machine: no part of pocketpref that can use a network was loaded."
        )
    report(
        f"\nThat took {duration(time.monotonic() - began)}. Your turn: `pocketpref chat`, or "
        "`pocketpref import conversations.json`."
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


def compare_replies(pocket: Pocket, prompt: str) -> None:
    """Show the plain and the personalized reply to a prompt side by side."""
    from rich import box
    from rich.table import Table

    from pocketpref.records import Sampling

    sampling = Sampling(max_tokens=_REPLY_TOKENS, seed=_SEED)
    used = pocket.personalize(prompt)
    report("\n".join(textwrap.wrap(f"prompt: {one_line(prompt, 300)}", 96)))
    added = "added: nothing, as no past choice is close enough to this prompt"
    if used.attributes:
        source = used.sources[0]
        added = (
            f"added: {', '.join(used.attributes)} "
            f"(from choice {source.id}, similarity {source.similarity:.2f})"
        )
    report(added)
    note("answering twice ...")
    plain = pocket.reply(prompt, plain=True, sampling=sampling)
    personal = pocket.reply(prompt, sampling=sampling)
    columns = Table(box=box.SQUARE, expand=True)
    columns.add_column("plain", ratio=1, overflow="fold")
    columns.add_column("personalized", ratio=1, overflow="fold")
    columns.add_row(printable(plain.strip()), printable(personal.strip()))
    console().print(columns)


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
