from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pocketpref.backends.llama import LlamaModel
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.lora import Adapter
from pocketpref.models.gguf_file import file_sha256
from tests.lora.making import adapter_of, random_pairs

Shapes = dict[str, tuple[int, int]]


@pytest.fixture(scope="session")
def shapes(starter_path: Path) -> Shapes:
    """The starter's matrices."""
    with closing(Tensors(starter_path)) as tensors:
        return tensors.shapes()


@pytest.fixture(scope="session")
def base_sha256(starter_path: Path) -> str:
    return file_sha256(starter_path)


@pytest.fixture(scope="module")
def starter(prepared_path: Path, base_sha256: str) -> Iterator[LlamaModel]:
    """The 16-bit copy under the fingerprint of the file it was made of, as Pockets have it."""
    with closing(LlamaModel(prepared_path, name="starter", sha256=base_sha256)) as model:
        yield model


@pytest.fixture(scope="session")
def adapter(shapes: Shapes, base_sha256: str) -> Adapter:
    """Rank 4 on the queries and values of all layers."""
    return adapter_of(random_pairs(shapes, 1), base_sha256, name="one")


@pytest.fixture(scope="session")
def other(shapes: Shapes, base_sha256: str) -> Adapter:
    """Another, of another rank and on other matrices too."""
    pairs = random_pairs(shapes, 2, rank=3, targets=("attn_v", "ffn_up"))
    return adapter_of(pairs, base_sha256, alpha=5.0, name="two")


@pytest.fixture(scope="session")
def small(base_sha256: str, shapes: Shapes) -> Adapter:
    """One matrix of one layer, rank 1: a file small enough to be damaged everywhere."""
    name = "blk.3.attn_v.weight"
    pairs = random_pairs({name: shapes[name]}, 3, rank=1)
    return adapter_of(pairs, base_sha256, alpha=1.0, name="small")
