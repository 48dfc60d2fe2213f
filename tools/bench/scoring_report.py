"""What ``bench_scoring`` found, for people."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from tools.bench.scoring_statistics import (
    CONTENDERS,
    DEFAULT,
    PLAIN,
    REFERENCE,
    TORCH,
    Document,
    better_torch,
    conditions,
    fidelity,
    greedy_conditions,
    jaccard,
    objective_ratio,
    part_shares,
    peak_share,
    ratio,
    same_first,
    seconds,
    spread,
)


def report(document: Document) -> str:
    """Everything, for people."""
    if not document["pairs"]:
        return "no pair was finished"
    sections: tuple[Callable[[Document], list[str]], ...] = (
        _heading,
        _speed,
        _work,
        _agreement,
        _fidelity,
        _targets,
    )
    return "\n\n".join("\n".join(section(document)) for section in sections)


def _heading(document: Document) -> list[str]:
    rows = document["pairs"]
    short = sum(row["half"] == "short" for row in rows)
    lengths = [sum(row["tokens"]) for row in rows]
    peaks = ", ".join(
        f"{rate / 1e9:.0f} GFLOP/s {kind}" for kind, rate in document["peaks"].items()
    )
    lines = [
        f"{len(rows)} of {document['planned']} pairs ({short} short, {len(rows) - short} long), "
        f"seed {document['seed']}, {min(lengths)} to {max(lengths)} tokens each",
        f"{document['model']}, {document['attributes']} attributes, "
        f"{document['threads']} threads, {document['system']}; "
        f"{document['seconds'] / 60:.0f} min",
        f"best matrix product in this run: {peaks}",
        "conditions that the float32 exhaustive search evaluated: "
        + spread([row["conditions"] for row in rows], ".0f")
        + f"; a full greedy search: {greedy_conditions(document['attributes'])}",
    ]
    for name, best in document["batches"].items():
        sizes = ", ".join(f"{rows} for {half} pairs" for half, rows in best.items())
        lines.append(f"{name}: fastest rows of a batch {sizes}")
    lines += [f"left out: {name}: {why}" for name, why in document["left_out"].items()]
    return lines


def _present(document: Document) -> list[str]:
    return [name for name in CONTENDERS if name in document["pairs"][0]["costs"]]


def _speed(document: Document) -> list[str]:
    paper = greedy_conditions(document["attributes"])
    torch = better_torch(document)
    lines = [
        "Speed; medians (least - most). Plain and transformers are timed on a few conditions and",
        f"multiplied: first to those that the float32 exhaustive search evaluated, then to {paper}",
        f"{'':18} pairs/min  seconds a pair         x plain, each pair            x at {paper}",
    ]
    for name in _present(document):
        own, base = seconds(document, name), seconds(document, PLAIN)
        each = [b / a for a, b in zip(own, base, strict=True)]
        lines.append(
            f"{name:18} {60 * len(own) / sum(own):9.2f}  {spread(own):21}  "
            f"{ratio(document, PLAIN, name):6.1f}, {spread(each):20}  "
            f"{ratio(document, PLAIN, name, paper=True):6.1f}"
        )
    if torch is not None:
        each = [
            b / a for a, b in zip(*(seconds(document, n) for n in (DEFAULT, torch)), strict=True)
        ]
        lines.append(
            f"default is {ratio(document, torch, DEFAULT):.1f} x {torch}, "
            f"each pair {spread(each)}; "
            f"{ratio(document, torch, DEFAULT, paper=True):.1f} x at {paper} conditions"
        )
    return lines


def _work(document: Document) -> list[str]:
    lines = [
        "Work. Operations: 2 x weights that are no embeddings for a token, and 2 x hidden size x",
        "vocabulary for a row of logits; not counted: attention, padding. Shares are of all time",
        f"{'':18} tokens a pair  tokens/s  decode (of peak)  log-softmax  estimates   rest  MiB",
    ]
    for name in _present(document):
        costs = [row["costs"][name] for row in document["pairs"]]
        times = [conditions(document, row, name) for row in document["pairs"]]
        tokens = statistics.median(c["tokens"] * n for c, n in zip(costs, times, strict=True))
        rate = statistics.median(cost["tokens"] / cost["seconds"] for cost in costs)
        peak = peak_share(document, name)
        shown = "-" if peak is None else f"{peak:.0%}"
        parts = part_shares(document, name)
        lines.append(
            f"{name:18} {tokens:13,.0f}  {rate:8.0f}  {parts['decode']:7.1%} {shown:>8}  "
            f"{parts['log-softmax']:11.1%}  {parts['estimates']:9.1%}  "
            f"{1 - sum(parts.values()):5.1%}  {document['memory'].get(name, 0) / 2**20:,.0f}"
        )
    return lines


def _agreement(document: Document) -> list[str]:
    lines = ["Agreement with the float32 exhaustive search; objectives rescored in float32"]
    floors = document["noise"]
    for name, weights in (("exhaustive f16", "f16"), (DEFAULT, DEFAULT)):
        overlap = [
            jaccard(r["selected"][name], r["selected"][REFERENCE]) for r in document["pairs"]
        ]
        total, each = objective_ratio(document, name)
        counts = [
            "{} of {}".format(*same_first(document, name, floor))
            for floor in (float("-inf"), floors["f32"], floors[weights])
        ]
        lines += [
            f"{name}",
            f"  first attribute the same on {counts[0]} pairs; on {counts[1]} with a lead over "
            f"{floors['f32']:.2f} nats",
            f"    (float32's noise floor), on {counts[2]} over {floors[weights]:.2f} (its own)",
            f"  set overlap (Jaccard): mean {statistics.fmean(overlap):.2f}, "
            f"median {spread(overlap, '.2f')}",
            f"  objective: {total:.3f} of the reference's in sum; each pair {spread(each, '.3f')}",
        ]
    return lines


def _fidelity(document: Document) -> list[str]:
    lines = [
        "Margins of single attributes against float32: all pairs together, within each pair",
        f"{'':18} margins  correlation  within a pair              rms, nats  most  noise floor",
    ]
    for name in ("f32", "f16", "bf16", "q4_1", DEFAULT, *TORCH):
        found = fidelity(document, name)
        if found is None:
            continue
        floor = document["noise"].get(name)
        lines.append(
            f"{name:18} {found['count']:7}  {found['correlation']:11.4f}  "
            f"{spread(found['within'], '.4f'):25}  {found['rms']:9.3f}  {found['most']:4.2f}  "
            f"{'-' if floor is None else f'{floor:.3f}':>11}"
        )
    for name in TORCH:
        apart = [
            abs(a - b)
            for row in document["pairs"]
            if name in row["plain"]
            for a, b in zip(row["plain"][name], row["plain"]["f32"], strict=True)
        ]
        if apart:
            lines.append(f"{name}: log p(answer | prompt) differs by at most {max(apart):.3f} nats")
    return lines


def _targets(document: Document) -> list[str]:
    lines = [f"{'Target':62} measured  met"]
    for text, least, value, form in _measured(document):
        met = "-" if value is None else ("yes" if value >= least else "no")
        lines.append(f"{text:62} {'-' if value is None else format(value, form):>8}  {met}")
    return lines


def _measured(document: Document) -> list[tuple[str, float, float | None, str]]:
    """Each target: what it is, the least that meets it, what was found, and how to print that."""
    torch = better_torch(document)
    faster = None if torch is None else ratio(document, torch, DEFAULT)
    same, clear = same_first(document, DEFAULT, document["noise"]["f32"])
    margins = fidelity(document, DEFAULT)
    return [
        ("default / plain, pairs per minute: >= 20", 20, ratio(document, PLAIN, DEFAULT), ".1f"),
        ("default / the faster transformers: >= 8", 8, faster, ".1f"),
        ("objective of default / exhaustive, in float32: >= 0.97", 0.97,
         objective_ratio(document, DEFAULT)[0], ".3f"),
        ("first attribute the same where the lead is clear: >= 90 %", 0.9,
         same / clear if clear else None, ".0%"),
        ("correlation of the default's margins with float32: >= 0.99", 0.99,
         None if margins is None else margins["correlation"], ".4f"),
        ("decode of the exhaustive search in float32, of peak: >= 60 %", 0.6,
         peak_share(document, REFERENCE), ".0%"),
        ("decode of the exhaustive search in F16, of peak: >= 60 %", 0.6,
         peak_share(document, "exhaustive f16"), ".0%"),
        ("decode of the default search, of peak: >= 60 %", 0.6,
         peak_share(document, DEFAULT), ".0%"),
    ]  # fmt: skip
