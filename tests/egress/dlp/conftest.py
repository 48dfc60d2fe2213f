"""A small memory with things in it that must not leave."""

from __future__ import annotations

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.egress.dlp import Known

STORED = (
    "My name is Miriam Goodman and I work at Quillfeather Logistics as a dispatcher.",
    "Since March I know that it is multiple sclerosis. My boss Frank must not hear of it.",
    "Please write to my sister Siobhan Keller in Leeds, 14 Harrow Lane.",
    "I lost the long and quiet fight about the time that we have with each other.",
    "My neighbour is called Mark Costa. Shall I mark costa rica on the map?",
    "What do you think about vegan stroganoff for an old friend?",
)


@pytest.fixture(scope="session")
def known() -> Known:
    attributes = tuple(AttributeBank.standard())
    return Known(lambda: STORED, ("ada lindqvist", "Tomasz"), attributes)
