"""Form actions; each returns a message for the next page.

The message never quotes the person's text: it is kept until the next page shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from pocketpref.egress.api_keys import ApiKey
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.errors import InputError, NotFoundError
from pocketpref.personalization.questions import Question, bundled_questions
from pocketpref.server.web import views
from pocketpref.server.web.middleware import MOST_FORM_BYTES
from pocketpref.server.web.views import WebContext

# Forms are untrusted: small, each field once, valid Unicode. No error quotes them.

_MOST_FIELDS = 40


class Form(Mapping[str, str]):
    """The fields of one form. A field that was left out is empty."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._fields.get(name, "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Form(<{len(self)} fields>)"

    def number(self, name: str, low: int, high: int) -> int | None:
        """A whole number; None if the field is empty.

        Raises:
            InputError: it holds anything else.
        """
        text = self[name].strip()
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InputError(f"{name} must be a whole number")
        if not low <= int(text) <= high:
            raise InputError(f"{name} must lie in {low:,} to {high:,}")
        return int(text)

    def text(self, name: str) -> str:
        """A text with plain line ends; browsers send others.

        Raises:
            InputError: the field is empty.
        """
        text = self[name].replace("\r\n", "\n").strip()
        if not text:
            raise InputError(f"the field {name} is empty")
        return text


async def read_form(request: Request) -> Form:
    """Read the form of a request.

    Raises:
        InputError: it is no form, is too large, or has a field twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InputError("this is no form")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            raise InputError(f"a form has at most {MOST_FORM_BYTES:,} bytes")
    return _parsed(bytes(body))


def _parsed(body: bytes) -> Form:
    fields = None
    with suppress(ValueError):  # another is raised outside of the handler: this may quote a field
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    if fields is None or len(dict(fields)) < len(fields):
        raise InputError("the form cannot be read")
    return Form(dict(fields))


_WORD: Final = "forget"
_MOST_DAYS: Final = 366
_LEVELS: Final = {level.name.lower(): level for level in Level}


@dataclass(frozen=True, slots=True)
class Done:
    """The result of an action.

    Attributes:
        words: for the next page.
        where: the next page, below the session's home.
    """

    words: str
    where: str = ""


Decide = Callable[[WebContext, Form], Done]


def edit_summary(context: WebContext, form: Form) -> Done:
    """Replace the summary by the person's own text."""
    before = context.pocket.summary()
    text = form.text("summary")
    if before is not None and before.text == text:
        return Done("Nothing was changed.")
    context.pocket.edit_summary(text)
    return Done("Your summary is kept. Grants for the previous one must be given again.")


def state(context: WebContext, form: Form) -> Done:
    """Save a preference in the person's own words."""
    context.pocket.state(form.text("statement"))
    return Done("Kept. It counts from the next answer on.")


def unstate(context: WebContext, form: Form) -> Done:
    """Remove one."""
    context.pocket.unstate(form["id"])
    return Done("Taken back. A summary that mentions it stays until you edit or refresh it.")


def correct(context: WebContext, form: Form) -> Done:
    """Correct a preference: it is wrong, or it holds for one topic."""
    pocket, limited = context.pocket, form["how"] == "only"
    if not limited and form["how"] != "wrong":
        raise InputError("say whether it is wrong, or holds for one topic only")
    only = form.text("topic") if limited else ""
    pocket.correct(form["name"], form["pole"], only=only)
    return Done("Kept: it is said for that topic only." if limited else "Kept: it is not said now.")


def uncorrect(context: WebContext, form: Form) -> Done:
    """Take a correction back."""
    context.pocket.uncorrect(form["id"])
    return Done("The correction is taken back.")


def answer_question(context: WebContext, form: Form) -> Done:
    """Remember which answer to a bundled question the person prefers."""
    question = _question(form)
    place = form.number("answer", 0, 1)
    if place is None:
        raise InputError("choose one of the two answers")
    context.pocket.add(
        *(question.prompt, question.answers[place], question.answers[1 - place]),
        meta={"asked": "ask"},
    )
    return Done("Remembered, as a choice like any other.", "ask")


def skip_question(context: WebContext, form: Form) -> Done:
    """Pass over a bundled question until the page is closed."""
    context.skipped.add(_question(form).prompt)
    return Done("Passed over.", "ask")


def _question(form: Form) -> Question:
    bank = bundled_questions()
    place = form.number("question", 0, len(bank) - 1)
    if place is None:
        raise InputError("the form names no question")
    return bank[place]


def forget(context: WebContext, form: Form) -> Done:
    """Forget one choice."""
    gone = context.pocket.forget(form["id"])
    derived = gone.learned + gone.documents
    also = f", and {derived} more that came from it" if derived else ""
    return Done(f"Forgotten for good: the choice{also}.", "choices")


def forget_everything(context: WebContext, form: Form) -> Done:
    """Destroy the person's key."""
    if form["word"].strip().lower() != _WORD:
        raise InputError(f"nothing was forgotten: type the word {_WORD} to say that you mean it")
    context.pocket.forget_everything()
    return Done("Everything is forgotten: its key is destroyed.")


def allow(context: WebContext, form: Form) -> Done:
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
    context.pocket.egress.allow(
        *(destination, level),
        offer=context.pocket.offer() if bound else None,
        any_summary=any_summary,
        expires=timedelta(days=days),
        daily=form.number("daily", 1, 1_000_000),
    )
    return Done("Allowed, and written on the log.", "leaving")


def revoke(context: WebContext, form: Form) -> Done:
    """Revoke a grant."""
    if not context.pocket.egress.revoke(form["id"]):
        raise NotFoundError("that is not allowed any more")
    return Done("Taken back, in every program at once.", "leaving")


def preview(context: WebContext, form: Form) -> dict[str, Any]:
    """Show exactly what a prompt would send. Sends nothing."""
    shown = context.pocket.preview(form.text("prompt"), to=form.text("to"))
    return views.previewed(context, shown)


def put_key(context: WebContext, form: Form) -> Done:
    """Save the key of a remote API."""
    destination = Destination.parse(form.text("address"))
    context.pocket.api_keys.put(destination, ApiKey.typed(form["key"]))
    return Done("The key is kept, sealed, for that address alone.", "machine")


def remove_key(context: WebContext, form: Form) -> Done:
    """Remove the key of an address."""
    if not context.pocket.api_keys.remove_at(form["address"]):
        raise NotFoundError("there is no key for that address")
    return Done("The key is removed.", "machine")


def choose_model(context: WebContext, form: Form) -> Done:
    """Make a model the default."""
    context.machine.choose(form["model"])
    return Done("Chosen, for programs that are started from now on.", "machine")
