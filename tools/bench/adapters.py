"""What adapters cost: loading, swapping, decoding under one; and whether memory comes back.

    python -m tools.bench.adapters                       # random adapters over the starter model
    python -m tools.bench.adapters --portfolio models/palm
    python -m tools.bench.adapters --hypernetwork models/profile-to-peft
    python -m tools.bench.adapters --cycles 10000        # load, use, free, again

Times are medians over --repeats. Decoding under an adapter and without are measured in turns,
pair by pair, so that other programs disturb both alike; the overhead is the median of the ratios.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from pocketpref.backends.llama import device
from pocketpref.backends.llama.adapters import AdapterPool, Wearing, bare, from_memory, prove
from pocketpref.backends.llama.bindings import Context, Slot, Weights
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork
from pocketpref.lora import Adapter, AdapterManifest, Base, Blend, lora_bytes
from pocketpref.methods import profile_to_peft
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.models import Catalogue
from pocketpref.models.gguf_file import file_sha256
from pocketpref.records import Pair

QV = ("attn_q", "attn_v")
LINEAR = (*QV, "attn_k", "attn_output", "ffn_down", "ffn_gate", "ffn_up")
_SUMMARY = (
    "The user prefers answers that are short and to the point, without extra words; modest and "
    "careful, admitting doubt and limits; closed with a question to the reader."
)
_CHOICES = (
    Pair("Why is the sky blue?", "Air scatters blue light most. Does that help?", "It " * 60),
    Pair("What is rust?", "Iron and oxygen, I think. Want more?", "Rust is a matter " * 20),
)
_PROMPT = "Why is the sky blue at noon and red in the evening?"


def random_adapter(path: Path, sha256: str, targets: Sequence[str], rank: int) -> Adapter:
    """An adapter over all layers, of random numbers in float16."""
    rng = np.random.default_rng(rank)
    with closing(Tensors(path)) as tensors:
        shapes = tensors.shapes()
    pairs = {
        name: (
            rng.normal(0, columns**-0.5, (rank, columns)).astype(np.float16),
            rng.normal(0, 0.01, (rows, rank)).astype(np.float16),
        )
        for name, (rows, columns) in shapes.items()
        if name.startswith("blk.") and name.split(".")[2] in targets
    }
    name = f"rank {rank} on {len(targets)} kinds of matrices"
    data = lora_bytes(pairs, architecture="llama", alpha=2.0 * rank, name=name)
    digest = hashlib.sha256(data).hexdigest()
    base = Base(path.stem, sha256, "llama")
    kinds = tuple(sorted(targets))
    manifest = AdapterManifest(
        name=name,
        file="random.gguf",
        base=base,
        sha256=digest,
        size=len(data),
        rank=rank,
        alpha=2.0 * rank,
        targets=kinds,
        licence="CC0-1.0",
        recipe="random numbers",
    )
    return Adapter(manifest, data)


def timed(work: Callable[[], Any], repeats: int) -> float:
    """The median of how long something takes, in milliseconds."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return round(1000 * statistics.median(found), 3)


def costs(path: Path, sha256: str, blend: Blend, repeats: int) -> dict[str, Any]:
    """What one blend costs, in milliseconds and ratios."""
    weights = Weights(path)
    rack = AdapterPool(weights, path, sha256)
    data = rack.checked(blend)
    pointer, scale = rack.hold(blend)
    plain = bare(weights)
    context = Context(weights, cells=512, batch=64, sequences=1, outputs=1)
    tokens = weights.tokenize(_PROMPT * 3, special=False)[:48]

    def load() -> None:
        rack.free(from_memory(weights, data, personal=True))

    def there_and_back() -> None:
        context.wear(pointer, scale)
        context.wear(None)

    def seconds(worn: bool, work: Callable[[Context, list[int]], None]) -> float:
        context.wear(pointer if worn else None, scale)
        work(context, tokens[:2])  # the first decode plans the graph anew
        start = time.perf_counter()
        work(context, tokens)
        return time.perf_counter() - start

    def ratio(work: Callable[[Context, list[int]], None]) -> float:
        pairs = [(seconds(True, work), seconds(False, work)) for _ in range(repeats)]
        return round(statistics.median(worn / bare for worn, bare in pairs), 3)

    found = {
        "bytes": len(data),
        "check_ms": timed(lambda: rack.checked(blend), repeats),
        "load_ms": timed(load, repeats),
        "prove_ms": timed(lambda: prove(weights, pointer, scale, plain), repeats),
        "swap_ms": round(timed(there_and_back, repeats) / 2, 4),
        "decode_overhead": ratio(_one_by_one),
        "prefill_overhead": ratio(_at_once),
    }
    context.wear(None)
    context.close()
    rack.let_go(blend.key)
    weights.close()
    return found


def _one_by_one(context: Context, tokens: list[int]) -> None:
    context.clear()
    for place, token in enumerate(tokens):
        context.decode([Slot(token, place, (0,), output=True)])


def _at_once(context: Context, tokens: list[int]) -> None:
    context.clear()
    last = len(tokens) - 1
    context.decode([Slot(t, i, (0,), output=i == last) for i, t in enumerate(tokens)])


def tailored(path: Path, folder: Path, repeats: int) -> dict[str, Any]:
    """From a profile to an adapter that is loaded, part by part, in milliseconds.

    Args:
        path: the base.
        folder: of its hypernetwork.
        repeats: how often each part is done.
    """
    embedder, network = open_embedder(None), OnnxHypernetwork(folder)
    vector = profile_to_peft.encode(_SUMMARY, _CHOICES, embedder)
    factors = network.write(vector)
    made = profile_to_peft.adapter(factors, network.manifest, "00")
    weights = Weights(path)
    rack = AdapterPool(weights, path, network.manifest.base.sha256)
    blend = Blend(((made, 1.0),))
    data = rack.checked(blend)
    pointer, plain = from_memory(weights, data, personal=True), bare(weights)
    parts = {
        "read_profile_ms": timed(
            lambda: profile_to_peft.encode(_SUMMARY, _CHOICES, embedder), repeats
        ),
        "hypernetwork_ms": timed(lambda: network.write(vector), repeats),
        "write_adapter_ms": timed(
            lambda: profile_to_peft.adapter(factors, network.manifest, "00"), repeats
        ),
        "check_ms": timed(lambda: rack.checked(blend), repeats),
        "load_ms": timed(lambda: rack.free(from_memory(weights, data, personal=True)), repeats),
        "prove_ms": timed(lambda: prove(weights, pointer, 1.0, plain), repeats),
    }
    once = {"bare_ms": timed(lambda: bare(weights), repeats)}
    rack.free(pointer)
    weights.close()
    total = round(sum(parts.values()), 3)
    return {"profile_to_adapter_ms": total, "parts": parts, "once_for_a_model": once}


def cycles(path: Path, sha256: str, adapter: Adapter, count: int) -> dict[str, Any]:
    """Check and load an adapter, decode a token under it, free it; the process's memory meanwhile.

    Every tenth of the cycles is noted. What grows at first is the allocator's; a leak grows on.
    """
    weights = Weights(path)
    rack = AdapterPool(weights, path, sha256)
    context = Context(weights, cells=256, batch=8, sequences=1, outputs=1)
    wearing = Wearing(rack)
    blend = Blend(((adapter, 1.0),))
    resident = []
    start = time.perf_counter()
    for place in range(count):
        wearing.change(context, blend)
        context.decode([Slot(1, 0, (0,), output=True)])
        wearing.take_off()
        if (place + 1) % max(1, count // 10) == 0:
            gc.collect()
            resident.append(psutil.Process().memory_info().rss)
            print(f"{place + 1:,} cycles: {resident[-1] / 2**20:.1f} MiB", file=sys.stderr)
    context.close()
    weights.close()
    return {
        "cycles": count,
        "adapter_bytes": len(adapter.data),
        "resident_mib": [round(size / 2**20, 1) for size in resident],
        "grown_bytes_per_cycle": (resident[-1] - resident[0]) / max(1, count * 9 / 10),
        "seconds": round(time.perf_counter() - start, 1),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--portfolio", type=Path, help="measure its policies, too")
    parser.add_argument("--hypernetwork", type=Path, help="measure what it writes, too")
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--cycles", type=int, default=0, help="so many times load, use, free")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    path = Catalogue(Path("none")).find(None).path
    sha256 = file_sha256(path)
    adapters = {
        "rank 8, q and v": random_adapter(path, sha256, QV, 8),
        "rank 16, all linears": random_adapter(path, sha256, LINEAR, 16),
    }
    blends = {name: Blend(((adapter, 1.0),)) for name, adapter in adapters.items()}
    blends["both at one half"] = Blend(tuple((adapter, 0.5) for adapter in adapters.values()))
    if options.portfolio is not None:
        portfolio = Portfolio.load(options.portfolio)
        blends |= {p.name: portfolio.blend(p) for p in portfolio.policies if p.parts}
    report: dict[str, Any] = {
        "machine": {"processor": platform.machine(), "device": device(), "load": _load()},
        "model": path.name,
        "costs": {},
    }
    if options.cycles:
        report["cycles"] = cycles(path, sha256, adapters["rank 8, q and v"], options.cycles)
    else:
        for name, blend in blends.items():
            report["costs"][name] = costs(path, sha256, blend, options.repeats)
        usual = report["costs"]["rank 8, q and v"]
        report |= {key: usual[key] for key in ("load_ms", "swap_ms", "decode_overhead")}
        if options.hypernetwork is not None:
            report |= tailored(path, options.hypernetwork, options.repeats)
    print(json.dumps(report, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def _load() -> float:
    return round(psutil.getloadavg()[0], 1)


if __name__ == "__main__":
    raise SystemExit(main())
