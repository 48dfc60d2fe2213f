"""Does a chosen summary explain choices that it was not chosen by? Real people, held-out prompts.

    python tools/eval_summary.py ukp_workers.jsonl --users 8 --cache FOLDER --json FILE
    python tools/eval_summary.py --understanding          ways of injecting one, and a known taste
    python tools/eval_summary.py --timing --pairs 40      learn and summary for one person

Each person's pairs are split by prompt. From the first part, in a vault of its own, a summary is
made as `summarize` does; on the second part its mean anchored margin is compared with that of

    none        no text: 0 by definition
    template    the three attributes with the most evidence, chosen by nobody
    random      one of the texts that were compared while searching
    another     the summary of another person
    placebo     a text about nothing of the kind, as long as the summary

``chosen`` is what was put in force (nothing, if no proposal beat the noise: margin 0), ``best`` the
first of the finalists, whether it beat the noise or not. Intervals are bootstraps over people.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from eval_margins import bank_of, open_cached
from eval_summary_people import Person, people
from eval_summary_styles import lively, understanding

from pocketpref.assemble import throwaway
from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel
from pocketpref.backends.onnx import open_embedder
from pocketpref.evaluation.metrics import interval
from pocketpref.learning import LearnRun
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.methods.history import history
from pocketpref.methods.popi import PopiSettings
from pocketpref.methods.popi_proposals import single_clauses
from pocketpref.methods.popi_selection import Margins, Objective
from pocketpref.methods.popi_signals import gather
from pocketpref.methods.popi_wording import block, render
from pocketpref.parts import Parts
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Feedback, Message, Pair
from pocketpref.scoring import PairScorer
from pocketpref.summarizing import SummarizeRun
from pocketpref.summary import SummaryReport
from pocketpref.vault import Vault
from pocketpref.vault.keys import EphemeralKey

_CACHE = Path(tempfile.gettempdir()) / "pocketpref-eval"

CONDITIONS = ("chosen", "best", "template", "random", "another", "placebo")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write. Returns the exit status."""
    options = _parse(argv)
    report: dict[str, Any]
    bank = bank_of(options.attributes)
    if options.timing:
        report = {"timing": _timing(options)}
    elif options.understanding:
        model = open_cached(options.cache, options.weights)
        report = {"understanding": understanding(model, bank), "control": _control(model, bank)}
    else:
        report = _evaluate(options, open_cached(options.cache, options.weights), bank)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Evaluate preference summaries.")
    parser.add_argument("file", type=Path, nargs="?", help="pair file [default: bundled samples]")
    parser.add_argument("--cache", type=Path, default=_CACHE, help="folder for likelihoods")
    parser.add_argument("--weights", choices=["f16", "bf16"], default="bf16")
    parser.add_argument("--users", type=int, default=8, help="people at most")
    parser.add_argument("--pairs", type=int, default=40, help="pairs to summarize, at most")
    parser.add_argument("--held-out", type=int, default=20, help="pairs to judge on, at most")
    parser.add_argument("--short", type=int, default=10**6, help="longest answer, characters")
    parser.add_argument("--attributes", metavar="A,B,C", help="names [default: the whole bank]")
    parser.add_argument("--drafts", type=int, default=PopiSettings().drafts)
    parser.add_argument("--rounds", type=int, default=PopiSettings().rounds)
    parser.add_argument("--history", type=int, default=0, help="pairs a person for raw history")
    parser.add_argument("--transfer", type=Path, metavar="GGUF", help="judge under it, too")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--understanding", action="store_true")
    parser.add_argument("--timing", action="store_true", help="one person, as a Pocket does it")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


def _timing(options: argparse.Namespace) -> dict[str, Any]:
    """Learn and summarize for one person as a Pocket does it by default; where the time goes.

    ``cpu`` counts seconds of all cores: on a machine that does other things, too, it tells more
    than the clock.
    """
    person = next(people(options))
    with throwaway() as pocket:
        pocket.add_many(person.past)
        cpu = time.process_time()
        learned = pocket.learn()
        learn_cpu = time.process_time() - cpu
        found = pocket.summarize()
        return {
            "pairs": len(person.past),
            "characters": sum(len(f.pair.chosen + f.pair.rejected) for f in person.past),
            "learn": {"seconds": learned.seconds, "cpu": learn_cpu},
            "summarize": {
                "seconds": found.seconds,
                "cpu": time.process_time() - cpu - learn_cpu,
                "spent": dict(found.spent),
                "evaluations": found.evaluations,
                "reason": found.reason,
                "refused": dict(found.refused),
            },
        }


def _control(model: LanguageModel, bank: AttributeBank) -> dict[str, Any]:
    """What is found for somebody whose taste is known: lively and informal, against the rest."""
    past = tuple(Feedback(pair) for pair in lively())
    with _parts(Person("control", past, ()), model, open_embedder(None), bank) as parts:
        found = SummarizeRun(parts).run()
    margin = found.summary.margin if found.summary else None
    return {**_described(found, ""), "margin": margin.to_dict() if margin else None}


# ------------------------------------------------------------------------------- summarizing


def _evaluate(
    options: argparse.Namespace, model: LanguageModel, bank: AttributeBank
) -> dict[str, Any]:
    began = time.monotonic()
    embedder = open_embedder(None)
    settings = replace(PopiSettings(), drafts=options.drafts, rounds=options.rounds)
    done: list[tuple[Person, dict[str, Any]]] = []
    for person in people(options):
        if time.monotonic() - began > options.budget:
            break
        with _parts(person, model, embedder, bank) as parts:
            LearnRun(parts, None, lambda _: None).all()
            found = SummarizeRun(parts, settings=settings).run()
            template = _template(parts, embedder)
        done.append((person, _described(found, template)))
        print(f"{person.name}: {found.reason} ({found.seconds:.0f} s)", file=sys.stderr, flush=True)
    _complete(done, model, options.seed)
    report = _judged(options, done, model)
    if options.transfer:
        other = LlamaModel(options.transfer)
        report["transfer"] = {"to": options.transfer.name, **_judged(options, done, other, raw=0)}
    return report


@contextmanager
def _parts(
    person: Person, model: LanguageModel, embedder: Embedder, bank: AttributeBank
) -> Iterator[Parts]:
    """One person in a vault of their own. The first attribute of a choice is evidence enough."""
    method = Exact(bank, ExactSettings(k=1, exhaustive=True))
    with (
        tempfile.TemporaryDirectory(prefix="pocketpref-eval-") as folder,
        Vault.create(Path(folder) / "vault.db", EphemeralKey()) as vault,
    ):
        store = vault.store(person.name)
        store.add_many(person.past)
        yield Parts(
            store=store,
            bank=bank,
            method=method,
            recipe=lambda: method.recipe,
            noise=lambda: 0.0,
            model=lambda: model,
            scorer=lambda: model,
            embedder=lambda: embedder,
            about=dict,
        )


def _template(parts: Parts, embedder: Embedder) -> str:
    """The three attributes with the most evidence in all of a person's past."""
    learned = parts.store.learned(parts.recipe())
    signals = gather(parts.store.memories(), learned, embedder, most=10**6)
    return render(single_clauses(signals, parts.bank, wordings=3, opposites=0))


def _described(found: SummaryReport, template: str) -> dict[str, Any]:
    return {
        "chosen": found.summary.text if found.summary else "",
        "best": found.finalists[0] if found.finalists else "",
        "template": template,
        "tried": found.tried,
        "reason": found.reason,
        "refused": dict(found.refused),
        "seconds": found.seconds,
        "evaluations": found.evaluations,
    }


def _complete(
    done: Sequence[tuple[Person, dict[str, Any]]], model: LanguageModel, seed: int
) -> None:
    """Add what stands beside each summary: a random candidate, another's, a placebo."""
    rng = np.random.default_rng(seed)
    words = Objective(Margins(model, {}), PopiSettings())
    for place, (_, found) in enumerate(done):
        found["random"] = str(rng.choice(found["tried"])) if found["tried"] else ""
        found["another"] = done[(place + 1) % len(done)][1]["best"] if len(done) > 1 else ""
        found["placebo"] = words.neutral(found["best"]) if found["best"] else ""
        found["tokens"] = {name: _tokens(model, found[name]) for name in CONDITIONS}


def _tokens(model: LanguageModel, text: str) -> int:
    """Tokens of a text, counted part by part: a scorer cuts what is long."""
    parts = [part for part in text.split("\n\n") if part]
    asked = [[Message(role="user", content=".")]]
    return sum(int(model.likelihoods(asked, [part]).tokens[0]) for part in parts)


# ----------------------------------------------------------------------------------- judging


def _judged(
    options: argparse.Namespace,
    done: Sequence[tuple[Person, dict[str, Any]]],
    model: LanguageModel,
    raw: int | None = None,
) -> dict[str, Any]:
    """Margins of all conditions on held-out pairs, with intervals over people."""
    raw = options.history if raw is None else raw
    rows: dict[str, list[tuple[str, float, float]]] = {name: [] for name in CONDITIONS}
    rows |= {"history": [], "chosen_where_history": []}
    sizes = []
    for person, found in done:
        texts = [found[name] for name in CONDITIONS]
        for number, pair in enumerate(person.future):
            scorer = PairScorer(model, pair)
            margins = [float(m) for m in scorer.margins([block(text) for text in texts])]
            own = scorer.plain()[0] - scorer.plain()[1]
            for name, margin in zip(CONDITIONS, margins, strict=True):
                rows[name].append((person.name, margin, own + margin))
            if number < raw:
                rows["history"].append((person.name, *_raw(model, person, pair, own)))
                rows["chosen_where_history"].append(rows["best"][-1])
        if raw:
            sizes.append(_tokens(model, history([f.pair for f in person.past])))
    report = {name: _figures(found) for name, found in rows.items() if found}
    return {
        "conditions": report,
        "best_above": _paired(rows),
        "history_tokens": sizes,
        "people": [
            {"name": person.name, "past": len(person.past), "future": len(person.future), **found}
            for person, found in done
        ],
        "weights": options.weights,
    }


def _raw(model: LanguageModel, person: Person, pair: Pair, own: float) -> tuple[float, float]:
    """Anchored and absolute margin of a pair under the person's past choices as they are."""
    context = [
        Message(role="system", content=history([f.pair for f in person.past])),
        Message(role="user", content=pair.prompt),
    ]
    totals = model.likelihoods([context], [pair.chosen, pair.rejected]).totals[0]
    absolute = float(totals[0] - totals[1])
    return absolute - own, absolute


def _figures(found: Sequence[tuple[str, float, float]]) -> dict[str, Any]:
    names = [name for name, _, _ in found]
    return {
        "margin": interval([m for _, m, _ in found], names).to_dict(),
        "anchored_accuracy": interval([_credit(m) for _, m, _ in found], names).to_dict(),
        "absolute_accuracy": interval([_credit(a) for _, _, a in found], names).to_dict(),
        "pairs": len(found),
        "people": len(set(names)),
    }


def _credit(margin: float) -> float:
    return 0.5 + 0.5 * float(np.sign(margin))


def _paired(rows: dict[str, list[tuple[str, float, float]]]) -> dict[str, Any]:
    """By how much ``chosen`` and ``best`` are above each of the others, pair by pair, nats."""
    found: dict[str, Any] = {}
    for mine in ("chosen", "best"):
        ours = rows[mine]
        names = [name for name, _, _ in ours]
        others = {"none": [(n, 0.0, 0.0) for n in names], **rows}
        found[mine] = {
            other: interval(
                [a[1] - b[1] for a, b in zip(ours, others[other], strict=True)], names
            ).to_dict()
            for other in ("none", "template", "random", "another", "placebo")
        }
    return found


if __name__ == "__main__":
    sys.exit(main())
