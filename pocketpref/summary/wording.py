"""How clauses become the text of a summary, and a summary a part of a conversation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pocketpref.records import Attribute
from pocketpref.summary.records import Clause

_HEADINGS = {
    "en": ("The user prefers answers that are", "The user dislikes answers that are", "About"),
    "de": ("Bevorzugte Antworten:", "Unbeliebte Antworten:", "Zum Thema"),
    "fr": ("Réponses préférées :", "Réponses à éviter :", "Au sujet de"),
    "es": ("Respuestas preferidas:", "Respuestas no deseadas:", "Sobre"),
    "it": ("Risposte preferite:", "Risposte da evitare:", "Su"),
    "pt": ("Respostas preferidas:", "Respostas a evitar:", "Sobre"),
    "nl": ("Gewenste antwoorden:", "Ongewenste antwoorden:", "Over"),
}
"""What precedes what to do, what to avoid, and a topic; other languages have English headings."""


NEUTRAL = (
    "The house of the user stands near a river and has a green door, two windows and a small "
    "garden with apple trees, where a path of grey stones leads down to the water and a wooden "
    "boat lies on the sand beside an old bench under the bridge, while on the other side there "
    "are fields, a barn with a red roof, and a road that goes over the hills to the next village"
)
"""Any text before an answer shifts its likelihood, that of long answers most. What a summary says
has to explain more than what these words do, which say nothing about answers."""


def headings(language: str) -> tuple[str, str, str]:
    """What precedes what to do, what to avoid, and a topic."""
    return _HEADINGS.get(language, _HEADINGS["en"])


def render(clauses: Sequence[Clause], language: str = "en") -> str:
    """The text of a summary, one line: what to do, what to avoid, what by topic, own words last.

    Raises:
        ValueError: there is no clause.
    """
    if not clauses:
        raise ValueError("a summary says something")
    _, _, about = headings(language)
    ours = [clause for clause in clauses if not clause.stated]
    said = _preferences([c for c in ours if not c.topic], language)
    for topic in dict.fromkeys(c.topic for c in ours if c.topic):
        here = _preferences([c for c in ours if c.topic == topic], language)
        said.append(f"{about} {topic}: {' '.join(here)}")
    return " ".join([*said, *(ended(c.text) for c in clauses if c.stated)])


def _preferences(clauses: Sequence[Clause], language: str) -> list[str]:
    """What to do and what to avoid, a sentence each."""
    do, avoid, _ = headings(language)
    parts = {
        do: [clause.text for clause in clauses if not clause.avoid],
        avoid: [clause.text for clause in clauses if clause.avoid],
    }
    return [f"{heading} {'; '.join(texts)}." for heading, texts in parts.items() if texts]


def ended(text: str) -> str:
    """Return a sentence with a full stop, unless it ends in some mark."""
    return text if text.endswith((".", "!", "?", "。")) else f"{text}."


def sentences(text: str) -> list[str]:
    """A person's own text in the parts that can be compared with clauses."""
    parts = re.split(r"(?<=[.!?。])\s+|\s*[;\n]\s*", text)
    return [part.strip() for part in parts if part.strip()]


def bare(sentence: str) -> str:
    """A sentence of a summary without its headings and its end, to compare it with a clause."""
    for do, avoid, about in _HEADINGS.values():
        sentence = re.sub(rf"^{re.escape(about)} [\w ]+: ", "", sentence)
        sentence = sentence.removeprefix(f"{do} ").removeprefix(f"{avoid} ")
    return sentence.strip(" .;")


def attribute_clause(attribute: Attribute, pairs: Sequence[str], *, opposite: bool) -> Clause:
    """What an attribute's evidence says: its wording, or its opposite's."""
    if opposite:
        return Clause(attribute.opposite, "", tuple(pairs), (f"not {attribute.name}",))
    return Clause(attribute.wording, "", tuple(pairs), (attribute.name,))


def block(text: str) -> str:
    """What is injected after a prompt for a summary, or "" for none.

    It stands apart at the end of the user's turn, so that everything before it is common to all
    summaries and is computed once. Of the ways that were measured (docs/summary.md) it is one of
    those that a small model understands best.
    """
    return f"\n({text})" if text else ""


def without_block(prompt: str, texts: Iterable[str]) -> str:
    """The prompt without a block that one of these summaries was injected by.

    A line that only looks like a block stays: it is the person's own.
    """
    for text in filter(None, texts):
        end = f"\n{block(text)}"
        if prompt.endswith(end):
            return prompt.removesuffix(end)
    return prompt
