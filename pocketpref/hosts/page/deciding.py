"""What forms ask for: each function does one thing, and says in plain words that it was done.

The words never hold a text of the person: they are kept until the next page shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pocketpref.egress.api_keys import ApiKey
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.errors import InputError, NotFoundError
from pocketpref.hosts.page import looking
from pocketpref.hosts.page.forms import Form
from pocketpref.hosts.page.looking import Desk

_WORD: Final = "forget"
_MOST_DAYS: Final = 366
_LEVELS: Final = {level.name.lower(): level for level in Level}


@dataclass(frozen=True, slots=True)
class Done:
    """What was done.

    Attributes:
        words: for the next page.
        where: the next page, below the session's home.
    """

    words: str
    where: str = ""


Decide = Callable[[Desk, Form], Done]


def edit_summary(desk: Desk, form: Form) -> Done:
    """Put the person's own text in force."""
    before = desk.pocket.summary()
    text = form.text("summary")
    if before is not None and before.text == text:
        return Done("Nothing was changed.")
    desk.pocket.edit_summary(text)
    return Done("Your summary is kept. What was allowed for the one before must be allowed anew.")


def state(desk: Desk, form: Form) -> Done:
    """Keep a preference in the person's own words."""
    desk.pocket.state(form.text("statement"))
    return Done("Kept. The next summary says it.")


def unstate(desk: Desk, form: Form) -> Done:
    """Take one back."""
    desk.pocket.unstate(form["id"])
    return Done("Taken back. A summary that says it stands until you edit it or make it anew.")


def forget(desk: Desk, form: Form) -> Done:
    """Forget one choice."""
    gone = desk.pocket.forget(form["id"])
    derived = gone.learned + gone.documents
    also = f", and {derived} more that came from it" if derived else ""
    return Done(f"Forgotten for good: the choice{also}.", "choices")


def forget_everything(desk: Desk, form: Form) -> Done:
    """Destroy the person's key."""
    if form["word"].strip().lower() != _WORD:
        raise InputError(f"nothing was forgotten: type the word {_WORD} to say that you mean it")
    desk.pocket.forget_everything()
    return Done("Everything is forgotten: its key is destroyed.")


def allow(desk: Desk, form: Form) -> Done:
    """Allow requests to a destination."""
    destination = Destination.parse(form.text("destination"))
    level = _LEVELS.get(form["level"])
    if level is None:
        raise InputError("choose what may go along")
    days = form.number("days", 1, _MOST_DAYS)
    if days is None:
        raise InputError("say for how many days")
    any_summary = level is Level.SUMMARY and form["any_summary"] == "yes"
    bound = level is Level.SUMMARY and not any_summary
    desk.pocket.egress.allow(
        *(destination, level),
        offer=desk.pocket.offer() if bound else None,
        any_summary=any_summary,
        expires=timedelta(days=days),
        daily=form.number("daily", 1, 1_000_000),
    )
    return Done("Allowed, and written on the log.", "leaving")


def revoke(desk: Desk, form: Form) -> Done:
    """Take back what is allowed."""
    if not desk.pocket.egress.revoke(form["id"]):
        raise NotFoundError("that is not allowed any more")
    return Done("Taken back, in every program at once.", "leaving")


def preview(desk: Desk, form: Form) -> dict[str, Any]:
    """Exactly what would leave for a prompt. Sends nothing."""
    shown = desk.pocket.preview(form.text("prompt"), to=form.text("to"))
    return looking.previewed(desk, shown)


def put_key(desk: Desk, form: Form) -> Done:
    """Keep the key of a remote API."""
    destination = Destination.parse(form.text("address"))
    desk.pocket.api_keys.put(destination, ApiKey.typed(form["key"]))
    return Done("The key is kept, sealed, for that address alone.", "machine")


def remove_key(desk: Desk, form: Form) -> Done:
    """Remove the key that is kept for an address."""
    if not desk.pocket.api_keys.remove_at(form["address"]):
        raise NotFoundError("there is no key for that address")
    return Done("The key is removed.", "machine")


def choose_model(desk: Desk, form: Form) -> Done:
    """Make a model the default."""
    desk.machine.choose(form["model"])
    return Done("Chosen, for programs that are started from now on.", "machine")
