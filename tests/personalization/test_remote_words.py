"""What is said of a person may leave as it is, where they allow it."""

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.egress.dlp import Known, findings
from pocketpref.personalization.dimensions import Dimension, Dimensions

BANK = AttributeBank.standard()


@pytest.mark.parametrize("dimension", Dimensions.standard(), ids=lambda one: one.name)
def test_a_clause_passes_the_checks_unless_it_tells_values(dimension: Dimension) -> None:
    known = Known(lambda: (), (), tuple(BANK))
    values = dimension.attribute is not None and BANK[dimension.attribute].category == "values"
    for pole in (dimension.high, dimension.low):
        found = findings(f"The user prefers answers that are {pole.clause}.", known)
        assert bool(found) is values, pole.clause
