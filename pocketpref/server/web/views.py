"""Read from a Pocket the values that pages show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pocketpref.config import Config, Places
from pocketpref.egress import Grant, Preview
from pocketpref.egress.disclosure import Level
from pocketpref.egress.preview import DEFAULT_EXPIRY
from pocketpref.errors import ModelError, NotFoundError, PocketprefError
from pocketpref.formatting import certainty, plural, size
from pocketpref.models import Catalogue, ModelEntry
from pocketpref.personalization.beliefs import SURE
from pocketpref.personalization.dimensions import Dimensions
from pocketpref.personalization.questions import bundled_questions
from pocketpref.pocket import Pocket
from pocketpref.records import Memory
from pocketpref.results import Preference, Profile

# Render templates; every value is escaped.

FOLDER: Final = Path(__file__).parent

_EXCERPT: Final = 90  # characters


def render(template: str, **values: Any) -> bytes:
    """A page."""
    return _environment().get_template(template).render(values).encode("utf-8", "replace")


@cache
def asset(name: str) -> bytes:
    """A file that is served unchanged."""
    return FOLDER.joinpath(name).read_bytes()


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"when": local_time, "plural": plural, "excerpt": excerpt, "size": size}
    return made


def local_time(moment: datetime) -> str:
    """A moment in the machine's own time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def excerpt(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 10 * _EXCERPT].split())
    return line if len(line) <= _EXCERPT else f"{line[: _EXCERPT - 1].rstrip()}…"


# The models and folders of this machine that the page shows.


@dataclass(frozen=True, slots=True, repr=False)
class Machine:
    """Folders and settings of this machine.

    Attributes:
        places: where things are kept.
        config: the settings that the program was started with.
        environ: environment variables, which come before settings.
    """

    places: Places
    config: Config
    environ: Mapping[str, str]

    def models(self) -> list[tuple[ModelEntry, bool]]:
        """The models on this machine, each with whether it is the default from now on."""
        catalogue = Catalogue(self.places.models)
        chosen = None
        with suppress(ModelError, NotFoundError):  # the one that was chosen is gone: none is marked
            config = self.config if self.overruled else Config.load(self.places, {})
            chosen = catalogue.find(config.model).path
        return [(entry, entry.path == chosen) for entry in catalogue.ls()]

    def choose(self, handle: str) -> ModelEntry:
        """Make a model the default for programs that are started from now on.

        Raises:
            NotFoundError: the model is not listed.
            ConfigError: the settings cannot be read or written.
        """
        listed = Catalogue(self.places.models).ls()
        entry = next((entry for entry in listed if entry.handle == handle), None)
        if entry is None:
            raise NotFoundError("there is no such model on this machine")
        replace(Config.load(self.places, {}), model=entry.handle).save(self.places)
        return entry

    @property
    def overruled(self) -> bool:
        """Whether a variable decides which model is used, whatever is chosen here."""
        return bool(self.environ.get("POCKETPREF_MODEL"))


ON_A_PAGE: Final = 50
"""Choices, or lines of the log, on one page."""

_EVIDENCE: Final = 12  # choices that are named beside what they say

ORIGINS: Final = {"user": "by hand", "import": "imported", "chat": "in a chat", "edit": "edited"}
WRITERS: Final = {"template": "from your choices", "model": "by the model", "edit": "by you"}


@dataclass(frozen=True, slots=True, repr=False)
class WebContext:
    """The Pocket and the machine that pages show and forms change.

    Attributes:
        pocket: of the person who visits.
        machine: settings and models.
        skipped: prompts of questions that were passed over in this visit.
    """

    pocket: Pocket
    machine: Machine
    skipped: set[str] = field(default_factory=set)


Look = Callable[[WebContext, Mapping[str, str]], dict[str, Any]]
"""Gathers the values of one page, given the changing parts of its address."""


def you(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """The person's preferences, with the choices behind them."""
    pocket = context.pocket
    profile, problem = _profile(pocket)
    summary, entries = pocket.summary(), profile.entries if profile else ()
    statements, bank = pocket.statements(), pocket.attributes
    strongest = max((entry.weight for entry in entries), default=0.0)
    corrections = {(one.dimension, str(one.pole)): one for one in pocket.corrections()}
    preferences = [
        {
            "likes": found.likes,
            "key": (found.name, found.pole),
            "found": found,
            "words": _preference_words(found),
            "sure": found.applied or found.probability >= SURE,
            "correction": corrections.pop((found.name, found.pole), None),
            "evidence": _evidence(pocket, found.choices),
            "more": max(len(found.choices) - _EVIDENCE, 0),
        }
        for found in pocket.preferences()
    ]
    # Those of beliefs that choices made since no longer support.
    dimensions = Dimensions.standard(bank) if corrections else None
    return {
        "choices": pocket.counts().memories,
        "sure": [each for each in preferences if each["sure"]],
        "unsure": [each for each in preferences if not each["sure"]],
        "corrected": [
            (dimensions[name].pole(one.pole).label, one)
            for (name, _), one in corrections.items()
            if dimensions is not None and name in dimensions
        ],
        "profile": profile,
        "no_profile": problem,
        "learned": [
            {
                "entry": entry,
                "share": round(100 * max(entry.weight, 0) / strongest, 1) if strongest > 0 else 0,
                "wording": bank[entry.name].wording if entry.name in bank else "",
                "evidence": _evidence(pocket, entry.pairs),
                "more": max(len(entry.pairs) - _EVIDENCE, 0),
            }
            for entry in entries
        ],
        "summary": summary,
        "clauses": [
            {
                "clause": clause,
                "evidence": _evidence(pocket, clause.pairs),
                "more": max(len(clause.pairs) - _EVIDENCE, 0),
            }
            for clause in (summary.clauses if summary else ())
        ],
        "writers": WRITERS,
        "due": pocket.summary_due() if profile else None,
        "earlier": [each for each in reversed(pocket.summaries()) if each.replaced is not None],
        "stated": [each for each in statements if each.wanted],
        "struck": [each for each in statements if not each.wanted],
    }


def _preference_words(found: Preference) -> str:
    total = found.supporting + found.contrary
    words = f"{found.supporting:g} of {total:g} choices"
    sure = found.applied or found.probability >= SURE
    return f"{words}, {certainty(found.probability) if sure else 'not sure yet'}"


def ask(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """The question whose answer would tell most about the person now."""
    question = context.pocket.question(skipped=context.skipped)
    return {
        "question": question,
        "place": -1 if question is None else bundled_questions().index(question),
        "sure": [found.likes for found in context.pocket.preferences() if found.applied],
    }


def _profile(pocket: Pocket) -> tuple[Profile | None, str]:
    """The profile; None and the reason if a model is missing: the rest is shown without it."""
    try:
        return pocket.profile(), ""
    except ModelError as error:
        return None, error.words


def _evidence(pocket: Pocket, ids: Iterable[str]) -> list[Memory]:
    found = []
    for name in islice(ids, _EVIDENCE):
        with suppress(NotFoundError):  # forgotten since
            found.append(pocket.memory(name))
    return found


def choices(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """The remembered choices, the newest first."""
    counts, number = context.pocket.counts(), _page(parts)
    first = (number - 1) * ON_A_PAGE
    return {
        "memories": list(islice(context.pocket.memories(), first, first + ON_A_PAGE)),
        "counts": counts,
        "origins": ORIGINS,
        **_pages(number, counts.memories),
    }


def choice(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """One choice in full, and what was learned from it.

    Raises:
        NotFoundError: the id is unknown.
    """
    pocket, learned = context.pocket, list[str]()
    memory = pocket.memory(parts["id"])
    with suppress(ModelError):  # the choice can be seen without it
        learned += pocket.learned_from(memory.id)
    return {
        "memory": memory,
        "learned": learned,
        "origins": ORIGINS,
        "gone": pocket.forget(memory.id, dry_run=True),
    }


def helps(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """Whether it helps: the figures that the vault holds."""
    pocket = context.pocket
    profile, _ = _profile(pocket)
    verdict = pocket.verdict()
    counts: dict[str, float] = {}
    if verdict.answer != "too few":
        counts["your earlier choices"] = verdict.predicted
        counts |= {words: verdict.rivals[name] for name, words in _RULES.items()}
    return {
        "verdict": verdict,
        "bars": [
            {"words": words, "count": f"{count:g}", "share": round(100 * count / verdict.asked, 1)}
            for words, count in counts.items()
        ],
        "summary": pocket.summary(),
        "policy": profile.policy if profile else (),
        "due": pocket.summary_due() if profile else None,
    }


_RULES: Final = {
    "shorter": "always the shorter answer",
    "longer": "always the longer answer",
    "coin": "a coin",
}


def leaving(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """Grants, and the log of what has left, the newest first."""
    gate, number = context.pocket.egress, _page(parts)
    log, checked = gate.log(), gate.verify()
    ends = {entry.release: entry.reason for entry in log if entry.event == "finished"}
    lines = [entry for entry in reversed(log) if entry.event != "finished"]
    first = (number - 1) * ON_A_PAGE
    return {
        "levels": {level.name.lower(): level.words for level in Level},
        "grants": [_grant(grant, gate.refusal(grant)) for grant in gate.grants()],
        "summary": context.pocket.summary(),
        "days": DEFAULT_EXPIRY.days,
        "lines": [
            {"entry": entry, "end": ends.get(entry.id, ""), "gone": entry.id in checked.forgotten}
            for entry in lines[first : first + ON_A_PAGE]
        ],
        "sent": sum(entry.event == "allowed" for entry in log),
        "checked": checked,
        "preview": None,
        **_pages(number, len(lines)),
    }


def _grant(grant: Grant, refusal: str | None) -> dict[str, Any]:
    along = grant.level.words
    if grant.level is Level.SUMMARY:
        along += ", as it was then" if grant.summary_hash else ", whatever it says by then"
    return {"grant": grant, "along": along, "refusal": refusal}


def previewed(context: WebContext, preview: Preview) -> dict[str, Any]:
    """The page of what leaves, with what would leave for one prompt."""
    return leaving(context, {}) | {"preview": preview, "body": preview.body.decode()}


def release(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """One line of the log, with exactly the bytes that left then.

    Raises:
        NotFoundError: the id is unknown.
    """
    gate = context.pocket.egress
    log = gate.log()
    entry = next((entry for entry in log if entry.id == parts["id"]), None)
    if entry is None:
        raise NotFoundError("the log has no line of this id")
    body = gate.released(entry.id)
    ends = (e.reason for e in log if e.event == "finished" and e.release == entry.id)
    return {
        "entry": entry,
        "end": next(ends, ""),
        "body": None if body is None else body.decode(),
        "sources": _evidence(context.pocket, entry.sources),
    }


def machine(context: WebContext, parts: Mapping[str, str]) -> dict[str, Any]:
    """Models and keys, and where everything is kept."""
    status, problem = None, ""
    try:
        status = context.pocket.status()
    except PocketprefError as error:  # a model that is missing: keys can be changed all the same
        problem = error.words
    return {
        "status": status,
        "no_status": problem,
        "models": context.machine.models(),
        "overruled": context.machine.overruled,
        "keys": context.pocket.api_keys.addresses(),
        "places": context.machine.places,
    }


def _page(parts: Mapping[str, str]) -> int:
    text = parts.get("page", "1")
    return max(int(text), 1) if text.isascii() and text.isdecimal() and len(text) < 7 else 1


def _pages(number: int, count: int) -> dict[str, int]:
    return {"page": number, "last_page": max(-(-count // ON_A_PAGE), 1), "count": count}
