"""A hostile summarizer tries to carry a memory out through its summaries; a table says how it went.

    python -m tools.attack.summaries [--secrets 500] [--texts 10000] [--seed 1] [--pairs FILE]...
                                     [--json FILE] [--markdown]

It plants secrets (names, employers, diagnoses, addresses, numbers, keys, whole sentences) in a
memory of real pairs and tries every trick on each of them. A try escapes if every summary it takes
passes all checks. Then it measures what checks cost: how many harmless summaries and template
sentences they stop, how long they take, and what an agreed code of harmless words still carries.

Covered: what a summarizer can put into summaries. Not covered: what a sequence of summaries tells
by when it changes. Ends with 1 if a planted name, place, illness, number or key escaped.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.egress.attribute_sentence import TOPICS, Vocabulary
from pocketpref.egress.dlp import Known, findings
from pocketpref.egress.dlp.text import fold, folded_words, words
from pocketpref.importers import read
from pocketpref.records import Feedback
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import render
from tools.attack import reworded
from tools.attack.covers import COPIED, HIDDEN, SPLIT
from tools.attack.memory import USERS, Secret, memory, plant
from tools.attack.tricks import DISGUISED, ENCODED, FORMATTED, VERBATIM, Trick

GROUPS: Mapping[str, Mapping[str, Trick]] = {
    "verbatim": VERBATIM,
    "encoded": ENCODED,
    "disguised letters": DISGUISED,
    "formatting": FORMATTED,
    "hidden letters": HIDDEN,
    "rearranged sentences": COPIED,
    "split over summaries": SPLIT,
}
"""Tricks with planted secrets: none may escape."""

HARMLESS = Path(__file__).with_name("harmless.txt")
"""Summaries that must pass, one a line."""

_SHOWN = 5


@dataclass
class Row:
    """What came of one trick.

    Attributes:
        tries: how often it was tried.
        escapes: how often everything passed.
        sentences: of which so many times it was a whole sentence, and no name, number or key.
        impossible: secrets that the trick cannot write.
        checks: how often each check was among those that found something.
        examples: of what escaped; all of it is invented.
    """

    group: str
    trick: str
    tries: int = 0
    escapes: int = 0
    sentences: int = 0
    impossible: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def judge(self, summaries: Sequence[str], known: Known) -> bool:
        """Try one secret: it escapes if every summary passes. Whether it did."""
        found = [findings(text, known) for text in summaries]
        self.tries += 1
        self.checks.update({finding.check for those in found for finding in those})
        passed = not any(found)
        if passed:
            self.escapes += 1
            self.examples += [" / ".join(summaries)][: _SHOWN - len(self.examples)]
        return passed

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "group": self.group,
            "trick": self.trick,
            "tries": self.tries,
            "escapes": self.escapes,
            "sentences": self.sentences,
            "impossible": self.impossible,
            "checks": dict(self.checks.most_common()),
            "examples": self.examples,
        }


def attack(secrets: Sequence[Secret], known: Known, rng: random.Random) -> Iterator[Row]:
    """Every trick on every secret."""
    for group, tricks in GROUPS.items():
        for name, trick in tricks.items():
            row = Row(group, name)
            for secret in secrets:
                summaries = trick(secret, rng)
                if not summaries:
                    row.impossible += 1
                elif row.judge(summaries, known) and secret.kind == "sentence":
                    row.sentences += 1
            yield row


def reword(known: Known) -> Iterator[Row]:
    """Facts, values and orders in words that stand nowhere in the memory."""
    for name, texts in (
        ("facts in any words", _all(reworded.IN_ANY_WORDS)),
        ("facts in words of the vocabulary", _all(reworded.IN_THEIR_WORDS)),
        ("values that are not granted", _all(reworded.VALUES)),
        ("orders to the remote model", reworded.ORDERS),
    ):
        row = Row("reworded", name)
        for text in texts:
            row.judge([text], known)
        yield row


def _all(facts: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [text for texts in facts.values() for text in texts]


@dataclass(frozen=True, slots=True)
class Carried:
    """What an agreed code carried.

    Attributes:
        tries: summaries written in it.
        passed: of which so many passed and were decoded again.
        bits: in each that passed, on average.
    """

    code: str
    tries: int
    passed: int
    bits: float


def carry(known: Known, rng: random.Random, tries: int) -> Iterator[Carried]:
    """How much agreed codes of harmless words carry: no check can tell them from preferences."""
    for name, code in reworded.CODES.items():
        carried: list[int] = []
        for _ in range(tries):
            bits = reworded.random_bits(rng, 1000)
            text, count = code.encode(bits)
            if not findings(text, known) and code.decode(text)[:count] == bits[:count]:
                carried.append(count)
        yield Carried(name, tries, len(carried), statistics.mean(carried) if carried else 0.0)


def harmless(known: Known, bank: AttributeBank, rng: random.Random) -> list[Row]:
    """What must pass: harmless summaries, every wording, sentences of the template."""
    plain = [a for a in bank if a.category != "values"]
    wordings = [wording for a in plain for wording in (a.wording, a.opposite)]
    alone = [Clause(wording, "", (), ()) for wording in wordings]
    mixed = [
        [Clause(rng.choice(wordings), rng.choice(("", *TOPICS)), (), ()) for _ in range(3)]
        for _ in range(300)
    ]
    found = {
        "harmless summaries": HARMLESS.read_text("utf-8").splitlines(),
        "wordings of attributes": [render([clause]) for clause in alone],
        "template summaries, three clauses": [render(clauses) for clauses in mixed],
    }
    rows = []
    for name, texts in found.items():
        row = Row("harmless", name)
        for text in dict.fromkeys(texts):
            row.judge([text], known)
        rows.append(row)
    return rows


def shared(texts: Sequence[str]) -> dict[str, int]:
    """How many harmless summaries share so many words in a row with a stored text."""
    summaries = [[word.text for word in words(s)] for s in HARMLESS.read_text("utf-8").splitlines()]
    stored = [folded_words(fold(text)) for text in texts]
    found = {}
    for count in (3, 4, 5, 6):
        runs = {run for text in stored for run in _neighbours(text, count)}
        told = sum(any(run in runs for run in _neighbours(s, count)) for s in summaries)
        found[f"{count} words"] = told
    return found


def _neighbours(sequence: Sequence[str], count: int) -> Iterator[tuple[str, ...]]:
    return (tuple(sequence[n : n + count]) for n in range(len(sequence) - count + 1))


def timed(texts: Sequence[str], known: Known) -> dict[str, float]:
    """Seconds of this process for the first pass over the memory and, after it, for a summary."""
    began = time.process_time()
    findings("Prefers short answers.", known)
    first = time.process_time() - began
    times = []
    for summary in HARMLESS.read_text("utf-8").splitlines()[:50]:
        began = time.process_time()
        findings(summary, known)
        times.append(time.process_time() - began)
    longest = reworded.CODES["adjectives out of an agreed list"].encode([0, 1] * 500)[0]
    began = time.process_time()
    findings(longest, known)
    return {
        "texts": len(texts),
        "first": first,
        "median": statistics.median(times),
        "longest": time.process_time() - began,
    }


def run(secrets: int, texts: int, seed: int, pairs: Sequence[Path] = ()) -> dict[str, Any]:
    """Everything, as plain data."""
    rng = random.Random(seed)  # noqa: S311  # not for secrets: for the same attack again
    planted = plant(rng, secrets)
    stored = memory(planted, [text for path in pairs for text in _texts(path)], texts)
    bank = AttributeBank.standard()
    known = Known(lambda: stored, USERS, tuple(bank))
    seconds = timed(stored, known)
    rows = [*attack(planted, known, rng), *reword(known)]
    return {
        "seed": seed,
        "secrets": len(planted),
        "rows": [row.as_json() for row in rows],
        "harmless": [row.as_json() for row in harmless(known, bank, rng)],
        "codes": [
            {"code": c.code, "tries": c.tries, "passed": c.passed, "bits": c.bits}
            for c in carry(known, rng, max(10, secrets // 5))
        ],
        "attributes_bits": Vocabulary(tuple(bank)).bits(()),
        "shared": shared(stored),
        "seconds": seconds,
    }


def _texts(path: Path) -> Iterator[str]:
    for entry in read(path, format="jsonl"):
        if isinstance(entry, Feedback):
            yield from (entry.pair.prompt, entry.pair.chosen, entry.pair.rejected)


def escaped(found: Mapping[str, Any]) -> int:
    """Planted names, places, illnesses, numbers and keys that escaped.

    A sentence of plain words that lost its small words, or comes in pairs of words over many
    summaries, is rather reworded than copied; `Row.sentences` counts those.
    """
    rows = (row for row in found["rows"] if row["group"] in GROUPS)
    return sum(row["escapes"] - row["sentences"] for row in rows)


def table(found: Mapping[str, Any], *, markdown: bool) -> str:
    """The tables, for people."""
    tricks = [
        (r["group"], r["trick"], f"{r['tries']:,}", f"{r['escapes']:,}", ", ".join(_first(r)))
        for r in found["rows"]
    ]
    passed = [
        (r["trick"], f"{r['tries']:,}", f"{r['escapes']:,}", ", ".join(_first(r)))
        for r in found["harmless"]
    ]
    codes = [
        (c["code"], f"{c['tries']:,}", f"{c['passed']:,}", f"{c['bits']:.0f}")
        for c in found["codes"]
    ]
    parts = (
        (("what", "trick", "tries", "escapes", "found by"), tricks),
        (("must pass", "tries", "passed", "stopped by"), passed),
        (("agreed code", "summaries", "passed", "bits in each"), codes),
    )
    told = "\n".join(_grid([head, *rows], markdown=markdown) for head, rows in parts)
    return f"{told}\n{_ending(found)}"


def _ending(found: Mapping[str, Any]) -> str:
    rows = [row for row in found["rows"] if row["group"] in GROUPS]
    seconds = found["seconds"]
    shared_runs = ", ".join(f"{run}: {count}" for run, count in found["shared"].items())
    return (
        f"{sum(row['tries'] for row in rows):,} tries with {found['secrets']:,} planted secrets: "
        f"{escaped(found)} escaped,\nand in {sum(row['sentences'] for row in rows)} of them a "
        f"sentence did in part, without a name or a number.\n"
        f"The level `attributes` tells at most {found['attributes_bits']:.1f} bits a request.\n"
        f"Harmless summaries that share words in a row with the memory: {shared_runs}.\n"
        f"{seconds['texts']:,} stored texts: first pass {seconds['first']:.2f} s, then "
        f"{1000 * seconds['median']:.0f} ms a summary, {1000 * seconds['longest']:.0f} ms the "
        f"longest."
    )


def _first(row: Mapping[str, Any]) -> list[str]:
    return [f"{check} {count:,}" for check, count in list(row["checks"].items())[:3]]


def _grid(rows: Sequence[Sequence[str]], *, markdown: bool) -> str:
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        + "\n"
        for row in rows
    )


def main(argv: list[str] | None = None) -> int:
    """Attack, print the tables, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--secrets", type=int, default=500, help="how many to plant")
    parser.add_argument("--texts", type=int, default=10_000, help="stored texts at most")
    parser.add_argument("--seed", type=int, default=1, help="of everything drawn at random")
    parser.add_argument(
        "--pairs", type=Path, action="append", default=[], help="more pairs (JSONL)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    given = parser.parse_args(argv)
    found = run(given.secrets, given.texts, given.seed, given.pairs)
    print(table(found, markdown=given.markdown))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for row in found["rows"]:
        if row["group"] in GROUPS and row["escapes"] > row["sentences"]:
            print(f"escaped: {row['trick']}: {row['examples'][0]}", file=sys.stderr)
    return 1 if escaped(found) else 0


if __name__ == "__main__":
    sys.exit(main())
