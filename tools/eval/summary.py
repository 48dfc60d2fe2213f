"""Does a chosen summary explain choices that it was not chosen by? Real people, held-out prompts.

    python -m tools.eval.summary ukp_workers.jsonl --users 8 --cache FOLDER --json FILE
    python -m tools.eval.summary ukp_workers.jsonl --known --short 180 --history --curve 12,20
    python -m tools.eval.summary --understanding          ways of injecting one, and a known taste
    python -m tools.eval.summary --timing --pairs 40      learn and summary for one person

Each person's pairs are split by prompt. From the first part, in a vault of its own, a summary is
made as `summarize` does; on the second part its mean anchored margin is compared with that of

    none        no text: 0 by definition
    template    the three attributes with the most evidence, chosen by nobody
    random      one of the texts that were compared while searching
    another     the summary of another person
    placebo     a text about nothing of the kind, as long as the summary
    history     the choices of the first part as they are (Base)

``chosen`` is what was put in force (nothing, if no proposal beat the noise: margin 0), ``best`` the
first of the finalists, whether it beat the noise or not. Intervals are bootstraps over people.
With ``--known`` the people are simulated (summary_known.py). A run that was stopped goes on
where it was: likelihoods and what was found for each person are kept in the cache's folder; the
latter is text, and it has to be deleted when the search is changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, prepare
from pocketpref.backends.llama.bindings import quantize
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.bootstrap.open import throwaway
from pocketpref.components import Components
from pocketpref.config import Config, Places
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.methods.exact import Exact, ExactSettings, LearnRun
from pocketpref.models import Catalogue
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Feedback
from pocketpref.summary.candidates import single_clauses
from pocketpref.summary.evidence import gather
from pocketpref.summary.objective import PopiSettings
from pocketpref.summary.records import SummaryReport
from pocketpref.summary.run import SummarizeRun
from pocketpref.summary.wording import render
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import EphemeralKey
from tools.eval.margins import bank_of, open_cached
from tools.eval.summary_judging import Found, complete, judged
from tools.eval.summary_known import apart, known_people
from tools.eval.summary_people import Person, people
from tools.eval.summary_styles import lively, understanding

_CACHE = Path(tempfile.gettempdir()) / "pocketpref-eval"


_FILE_TYPES = {"Q2_K": 10, "Q4_0": 2}
"""Kinds of GGUF files, as llama.cpp numbers them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write. Returns the exit status."""
    options = _parse(argv)
    report: dict[str, Any]
    bank = bank_of(options.attributes)
    if options.timing:
        report = {"timing": _timing(options)}
    elif options.apart:
        report = {"apart": apart(options, open_cached(options.cache, options.weights), bank)}
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
    parser.add_argument("--wordings", type=int, default=PopiSettings().wordings)
    parser.add_argument("--opposites", type=int, default=PopiSettings().opposites)
    parser.add_argument("--finalists", type=int, default=PopiSettings().finalists)
    parser.add_argument("--history", action="store_true", help="judge raw history, too")
    parser.add_argument("--known", action="store_true", help="people whose taste is a rule")
    parser.add_argument(
        "--contrary", type=float, default=0.1, help="how often they choose against it; 0.5 is dice"
    )
    parser.add_argument("--apart", action="store_true", help="which known tastes are understood")
    parser.add_argument("--curve", type=_numbers, default=(), metavar="N,M", help="fewer choices")
    parser.add_argument("--transfer", choices=_FILE_TYPES, help="judge under the starter as this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--understanding", action="store_true")
    parser.add_argument("--timing", action="store_true", help="one person, as a Pocket does it")
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


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
        print(f"learned: {learned.seconds:.0f} s", file=sys.stderr, flush=True)
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
        found = _run(parts).run()
    margin = found.summary.margin if found.summary else None
    return {**_described(found, ""), "margin": margin.to_dict() if margin else None}


# ------------------------------------------------------------------------------- summarizing


def _evaluate(
    options: argparse.Namespace, model: LanguageModel, bank: AttributeBank
) -> dict[str, Any]:
    """Search for everybody, then judge; with ``--curve`` also after fewer choices."""
    found = known_people(options) if options.known else people(options)
    everybody = list(islice(found, options.users))
    search = _Search(options, model, bank)
    done = list(zip(everybody, map(search.of, everybody), strict=True))
    complete(done, model, options.seed)
    report = judged(done, model, raw=options.history) | {"weights": options.weights}
    report["people"] = [
        {"name": p.name, "past": len(p.past), "future": len(p.future), **found} for p, found in done
    ]
    report["curve"] = {count: _after(count, everybody, search, model) for count in options.curve}
    if options.transfer:
        other = _requantized(options.transfer, options.cache)
        report["transfer"] = {"to": options.transfer, **judged(done, other)}
    return report


def _requantized(kind: str, folder: Path) -> LanguageModel:
    """The starter quantized again: other weights, which score as 16-bit numbers like the first."""
    places = Places.find()
    catalogue = Catalogue(places.models)
    source = catalogue.find(Config.load(places).model)
    coarse = folder / f"{catalogue.digest(source)[:16]}-{kind}.gguf"
    if not coarse.exists():
        quantize(source.path, coarse, _FILE_TYPES[kind])
    digest = hashlib.sha256(coarse.read_bytes()).hexdigest()
    path = prepare(coarse, folder, digest, "bf16")
    file = LikelihoodFile(folder / f"{digest[:16]}.likelihoods", digest)
    return CachedModel(LlamaModel(path, sha256=digest), file)


def _after(
    count: int, everybody: Sequence[Person], search: _Search, model: LanguageModel
) -> dict[str, Any]:
    """What the first so many choices of everybody would have given, on the same held-out pairs."""
    fewer = [replace(person, past=person.past[:count]) for person in everybody]
    done = list(zip(fewer, map(search.of, fewer), strict=True))
    report = judged(done, model)
    return {
        "in_force": sum(bool(found["chosen"]) for _, found in done),
        "conditions": {name: report["conditions"][name] for name in ("none", "chosen", "best")},
    }


class _Search:
    """Searches for one person after the other; what was found is kept and not searched again."""

    def __init__(
        self, options: argparse.Namespace, model: LanguageModel, bank: AttributeBank
    ) -> None:
        self._model = model
        self._bank = bank
        self._embedder = open_embedder(None)
        self._settings = replace(
            PopiSettings(),
            wordings=options.wordings,
            opposites=options.opposites,
            drafts=options.drafts,
            rounds=options.rounds,
            finalists=options.finalists,
        )
        self._file = options.cache / "summaries.json"
        self._known: dict[str, Found] = (
            json.loads(self._file.read_text("utf-8")) if self._file.exists() else {}
        )

    def of(self, person: Person) -> Found:
        """What ``summarize`` finds for them."""
        key = self._key(person)
        if key not in self._known:
            self._known[key] = self._search(person)
            self._file.write_text(json.dumps(self._known, ensure_ascii=False), "utf-8")
        found = self._known[key]
        print(
            f"{person.name}, {len(person.past)} choices: {found['reason']} "
            f"({found['seconds']:.0f} s)",
            file=sys.stderr,
            flush=True,
        )
        return dict(found)

    def _key(self, person: Person) -> str:
        """Changes with whatever decides what is found, but not with the program."""
        pairs = [(f.pair.prompt, f.pair.chosen, f.pair.rejected) for f in person.past]
        parts = (self._settings.fingerprint(), self._bank.names, self._model.fingerprint, pairs)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _search(self, person: Person) -> Found:
        with _parts(person, self._model, self._embedder, self._bank) as parts:
            LearnRun(parts.store, parts.method, parts.scoring, parts.embedder, parts.recipe).all()
            found = _run(parts, self._settings).run()
            return _described(found, _template(parts, self._embedder))


def _run(parts: Components, settings: PopiSettings | None = None) -> SummarizeRun:
    return SummarizeRun(
        parts.store, parts.bank, parts.summary_models, parts.recipe, settings=settings
    )


@contextmanager
def _parts(
    person: Person, model: LanguageModel, embedder: Embedder, bank: AttributeBank
) -> Iterator[Components]:
    """One person in a vault of their own. The first attribute of a choice is evidence enough."""
    method = Exact(bank, ExactSettings(k=1, exhaustive=True))
    with (
        tempfile.TemporaryDirectory(prefix="pocketpref-eval-") as folder,
        Vault.create(Path(folder) / "vault.db", EphemeralKey()) as vault,
    ):
        store = vault.store(person.name)
        store.add_many(person.past)
        yield Components(
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


def _template(parts: Components, embedder: Embedder) -> str:
    """The three attributes with the most evidence in all of a person's past."""
    learned = parts.store.learned(parts.recipe())
    signals = gather(parts.store.memories(), learned, embedder, most=10**6)
    return render(single_clauses(signals, parts.bank, wordings=3, opposites=0))


def _described(found: SummaryReport, template: str) -> Found:
    return {
        "chosen": found.summary.text if found.summary else "",
        "best": found.finalists[0] if found.finalists else "",
        "template": template,
        "tried": list(found.tried),
        "reason": found.reason,
        "refused": dict(found.refused),
        "seconds": found.seconds,
        "evaluations": found.evaluations,
    }


if __name__ == "__main__":
    sys.exit(main())
