"""What the pages say of the code and of one another is true."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest

import pocketpref
from pocketpref.attributes import AttributeBank
from pocketpref.cli.main import cli
from pocketpref.config import Config
from pocketpref.personalization.beliefs import infer_from_pairs
from pocketpref.personalization.dimensions import Dimensions
from pocketpref.samples import sample_pairs
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links, text_of

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_in_the_index_and_in_the_readme() -> None:
    pages = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    assert pages <= set(links(DOCS / "index.md"))
    assert {f"docs/{name}" for name in pages} <= set(links(ROOT / "README.md"))


def test_the_api_page_describes_exactly_the_public_names() -> None:
    described = re.findall(r"^### `pocketpref\.(\w+)`$", text_of(DOCS / "api.md"), re.MULTILINE)
    assert sorted(described) == sorted(pocketpref.__all__)


def test_the_api_page_describes_every_method_of_a_pocket() -> None:
    page = text_of(DOCS / "api.md")
    for name in (n for n in dir(pocketpref.Pocket) if not n.startswith("_")):
        assert re.search(rf"[*`]{name}[*(`]", page), name


def test_the_changelog_names_every_command() -> None:
    page = text_of(ROOT / "CHANGELOG.md")
    assert [name for name in cli.commands if f"`{name}`" not in page] == []


def test_the_settings_are_those_that_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", text_of(DOCS / "keys.md"), re.MULTILINE)
    assert rows == [(f.name, f"POCKETPREF_{f.name.upper()}") for f in fields(Config)]


def test_the_attributes_are_those_that_come_with_it() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| (\w+) \| (.+) \|$", text_of(DOCS / "attributes.md"), re.MULTILINE
    )
    bank = [(a.name, a.category, a.wording) for a in AttributeBank.standard()]
    assert rows[1:] == bank  # the first is the heading


def test_the_example_of_an_own_attribute_can_be_used(tmp_path: Path) -> None:
    (example,) = blocks(DOCS / "attributes.md", "toml")
    own = tmp_path / "attributes.toml"
    own.write_text(example, "utf-8")
    assert len(AttributeBank.standard(own)) == len(AttributeBank.standard()) + 1


def test_the_figures_of_the_relevance_threshold_are_those_that_were_measured() -> None:
    page = text_of(DOCS / "models.md")
    manifest = tomllib.loads(text_of(ROOT / "models" / "MANIFEST.toml"))
    measured = manifest["relevance"]["all-MiniLM-L6-v2"]
    assert f"**{measured['threshold']:.2f}**" in page
    rows = re.findall(r"^\| .+ \| (\d+\.\d\d) % \|$", page, re.MULTILINE)
    shares = [*measured["recalled_unrelated"].values(), *measured["recalled_related"].values()]
    assert rows == [f"{100 * share:.2f}" for share in shares]


def test_the_tutorials_person_likes_what_it_corrects() -> None:
    """``short answers`` is what the sample's choices say."""
    pairs = [feedback.pair for feedback in sample_pairs("descriptions")]
    dimensions = Dimensions.standard()
    (belief,) = infer_from_pairs(dimensions, pairs).sure
    assert dimensions[belief.dimension].pole(belief.pole).label == "short answers"
    assert 'correct -u ada "short answers"' in text_of(DOCS / "tutorial.md")


# ---------------------------------------------------------------------------- architecture


def _drawn(tree: str) -> Iterator[str]:
    """The paths in a drawing: two blanks for each level, a description behind two or more."""
    above: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        above[depth:] = [name.rstrip("/")]
        yield "/".join(above)


def test_what_is_drawn_is_there_and_every_room_is_drawn() -> None:
    _, tree, _ = blocks(DOCS / "architecture.md", "text")
    drawn = set(_drawn(tree))
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    rooms = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pocketpref").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    undrawn = {room for room in rooms if not any(f"{d}/".startswith(f"{room}/") for d in drawn)}
    assert undrawn == set()


def test_the_order_of_imports_is_the_one_that_is_held() -> None:
    _, _, picture = blocks(DOCS / "architecture.md", "text")
    contracts = tomllib.loads(text_of(ROOT / "pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if "layers" in contract]
    height = {
        name.strip().removeprefix("pocketpref."): number
        for number, layer in enumerate(layers)
        for name in layer.split("|")
    }
    steps = [re.findall(r"\w+", step) for step in picture.split(">")]
    assert all(len({height[name] for name in step}) == 1 for step in steps)
    assert all(height[a[0]] < height[b[0]] for a, b in pairwise(steps))
