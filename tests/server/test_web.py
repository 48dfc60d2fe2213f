"""The page, over real sockets: what it shows to whom, and what its forms do."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

import pocketpref
from pocketpref.config import Config
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.errors import StorageError
from pocketpref.server.web.middleware import MOST_FORM_BYTES
from pocketpref.server.web.session import GOOD_FOR, Session, opening_file
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.server.conftest import ASKED, SECRETS, SUMMARY, begun
from tests.server.visiting import serving

PLANTED = [*SECRETS.values(), SUMMARY]
PATHS = ["", "ask", "choices", "helps", "leaving", "machine", "everything"]
MARKUP = """<script>alert("x")</script> & "quoted" 'so' <b>bold</b>"""


def tells(text):
    """Which of the planted texts stand in what came back."""
    return [secret for secret in PLANTED if secret in text]


@pytest.fixture
def served(taught, place):
    with serving(taught, place.folder) as served:
        yield served


@pytest.fixture
def visitor(served):
    return served.visitor()


@pytest.fixture(scope="module")
def lasting(lasting_place):
    """One page for all tests that must not be able to change anything."""
    with lasting_place.open() as pocket, serving(begun(pocket), lasting_place.folder) as served:
        yield served.visitor()


def first(pocket):
    return next(m.id for m in pocket.memories() if m.pair.prompt == SECRETS["prompt"])


# ------------------------------------------------------------------------------ the way in


def test_the_code_works_once_and_gives_a_cookie_that_scripts_and_other_sites_do_not_get(served):
    page = served.ask("POST", "/enter", urlencode({"code": served.code}))
    assert page.status == 200
    assert served.entered.is_set()
    cookie = page.header("set-cookie")
    assert re.fullmatch(
        r"pocketpref=[\w-]{43}; Path=/[\w-]{12}/; HttpOnly; SameSite=Strict", cookie
    )
    again = served.ask("POST", "/enter", urlencode({"code": served.code}))
    assert again.status == 403
    assert again.header("set-cookie") == ""


@pytest.mark.parametrize(
    "typed", [lambda c: c.upper(), lambda c: c.replace("-", ""), lambda c: f" {c} "], ids="ABC"
)
def test_a_code_is_read_as_people_type_it(served, typed):
    assert served.ask("POST", "/enter", urlencode({"code": typed(served.code)})).status == 200


def test_a_wrong_code_opens_nothing_and_the_right_one_still_does(served):
    for wrong in ("", "0000-0000-0000", served.code[:-1], "\x00", "é" * 12):
        assert served.ask("POST", "/enter", urlencode({"code": wrong})).status == 403
    assert served.ask("POST", "/enter", "no form at all", content_type="text/plain").status == 403
    assert served.visitor().get().status == 200


def test_a_code_is_good_for_minutes_only():
    now = [0.0]
    late = Session(lambda: now[0])
    now[0] = GOOD_FOR + 1
    assert not late.enter(late.code)
    early = Session(lambda: now[0])
    assert early.enter(early.code)


def test_no_session_is_like_another_and_none_shows_its_secrets():
    one, other = Session(), Session()
    for name in ("home", "token", "code", "set_cookie"):
        assert getattr(one, name) != getattr(other, name)
    assert one.code not in repr(one)


def test_before_the_code_was_used_even_the_cookie_opens_nothing():
    session = Session()
    cookie = session.set_cookie.partition(";")[0].encode()
    assert not session.knows(cookie)
    assert session.enter(session.code)
    assert session.knows(cookie)
    assert session.knows(b"other=1; " + cookie)
    for wrong in (b"", b"pocketpref=", cookie[:-1], b"pocketpref=\xff", b";;;=", cookie + b"x"):
        assert not session.knows(wrong)


def test_the_file_that_opens_it_is_its_owners_alone_and_goes(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    left, fresh = folder / "open-0123.html", folder / "open-4567.html"
    for file in (left, fresh):
        file.write_text("of a crash, or of another visit that has just begun")
    os.utime(left, (0, 0))
    with opening_file(folder, 1234, "abcd-efgh") as path:
        assert not left.exists()
        assert fresh.exists()
        content = path.read_text()
        assert "abcd-efgh" in content
        assert "abcd-efgh" not in str(path)
        assert 'action="http://127.0.0.1:1234/enter"' in content
        if os.name == "posix":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


# ------------------------------------------------------------------------------ who sees nothing


def everywhere(taught):
    ids = [memory.id for memory in taught.memories()]
    log = [entry.id for entry in taught.egress.log()]
    return [
        *PATHS,
        *(f"choices/{name}" for name in ids),
        *(f"choices/{name}/forget" for name in ids),
        *(f"leaving/{name}" for name in log),
        *(
            "preview",
            "summary",
            "state",
            "correct",
            "uncorrect",
            "ask/skip",
            "forget",
            "allow",
            "key",
            "model",
            "end",
            "nothing",
        ),
    ]


def test_nobody_without_the_cookie_learns_anything_by_any_path(served, taught):
    taught.egress.allow(Destination.parse("mcp:desk"), Level.SUMMARY, offer=taught.offer())
    taught.clear(SECRETS["prompt"], to="mcp:desk")
    home, token = served.visitor().home, "x"
    answers, asked = set(), 0
    for path in everywhere(taught):
        for prefix in (home, "", "/other", f"{home}/..", f"/style.css/..{home}", f"/.{home}"):
            for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
                body = urlencode({"token": token}) if method == "POST" else None
                for cookie in ({}, {"cookie": "pocketpref=" + "x" * 43}):
                    found = served.ask(method, f"{prefix}/{path}", body, **cookie)
                    asked += 1
                    assert not tells(found.everything)
                    assert found.header("cache-control") == "no-store"
                    if f"{prefix}/{path}" != "/":
                        assert found.status in (403, 405), (method, prefix, path)
                        answers.add((found.status, found.body))
    assert asked > 1000
    assert len(answers) <= 3  # whether there is something or not: the same words


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.1:{port}{home}/", "{home}/", "{home}/choices", "/{home}/", "{home}%2f"),
        *("{home}/?x=1", "{home}/#x", "{home};x/", "/.{home}/", "/style.css/..{home}/", "*"),
        *("/%2e%2e{home}/", "{home}/choices/..", "{home}\\", "/enter/..{home}/", "127.0.0.1:80"),
    ],
)
def test_no_way_of_writing_an_address_gets_round_the_cookie(lasting, target):
    port, home = lasting.served.port, lasting.home
    wanted = target.format(port=port, home=home)
    for protocol in ("HTTP/1.1", "HTTP/1.0"):
        for method in ("GET", "POST", "CONNECT", "TRACE"):
            with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as line:
                head = f"{method} {wanted} {protocol}\r\nHost: 127.0.0.1:{port}\r\n"
                line.sendall(f"{head}Connection: close\r\n\r\n".encode())
                found = b""
                while part := line.recv(65536):
                    found += part
            assert found.split()[1] in (b"400", b"403", b"405"), (method, wanted)
            assert not tells(found.decode())


def test_what_is_open_to_all_holds_nothing_of_anybody(served, taught):
    served.visitor()
    for path in ("/", "/style.css", "/icon.svg", "/?code=1", "/favicon.ico"):
        found = served.ask("GET", path)
        assert not tells(found.everything)
        assert taught.user not in found.text


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1"},
        {"host": "evil.example:80"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=str,
)
def test_the_cookie_is_no_use_under_another_name_or_from_another_page(lasting, headers):
    found = lasting.get(**headers)
    assert found.status == 403
    assert not tells(found.everything)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://127.0.0.1:1", "sec_fetch_site": "same-site"},
        {"origin": "null", "sec_fetch_site": "none"},
        {"origin": "null", "sec_fetch_site": "cross-site"},
        {"origin": "", "sec_fetch_site": ""},
    ],
    ids=str,
)
def test_a_form_of_another_page_changes_nothing_though_it_has_cookie_and_token(lasting, headers):
    before = lasting.served.pocket.counts()
    name = first(lasting.served.pocket)
    found = lasting.send("forget", {"id": name}, **headers)
    assert found.status == 403
    assert lasting.served.pocket.counts() == before


def test_a_browser_that_sends_an_origin_alone_is_believed(visitor, served, taught):
    token, own = visitor.token, f"http://127.0.0.1:{served.port}"
    found = served.ask(
        "POST",
        f"{visitor.home}/state",
        urlencode({"token": token, "statement": "Metric units."}),
        cookie=visitor.cookie,
        origin=own,
    )
    assert found.status == 303
    assert [each.text for each in taught.statements()][-1] == "Metric units."


@pytest.mark.parametrize("token", ["", "wrong", "é"])
def test_a_form_without_the_token_of_this_visit_changes_nothing(lasting, token):
    found = lasting.send("forget", {"id": first(lasting.served.pocket), "token": token})
    assert found.status == 400
    assert lasting.served.pocket.memory(first(lasting.served.pocket))


@pytest.mark.parametrize("path", ["forget", "everything", "ask", "correct", "allow", "key", "end"])
def test_nothing_is_changed_by_following_a_link(lasting, path):
    before = lasting.served.pocket.counts()
    lasting.get(f"{path}?id={first(lasting.served.pocket)}&token={lasting.token}&word=forget")
    assert lasting.served.pocket.counts() == before


# ------------------------------------------------------------------------------ every answer


def test_every_answer_is_private_and_has_no_use_for_anything_from_elsewhere(served, taught):
    visitor = served.visitor()
    answers = [visitor.get(path) for path in everywhere(taught)]
    answers += [served.ask("GET", path) for path in ("/", "/style.css", "/icon.svg", "/x")]
    answers += [visitor.send("state", {"statement": ""}), visitor.send("end", {"token": ""})]
    for found in answers:
        assert found.header("cache-control") == "no-store"
        assert found.header("referrer-policy") == "no-referrer"
        assert found.header("x-content-type-options") == "nosniff"
        assert found.header("x-frame-options") == "DENY"
        policy = dict(
            part.strip().split(" ", 1)
            for part in found.header("content-security-policy").split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "unsafe" not in str(policy)
        assert "http" not in str(policy)
        assert found.header("server") == ""
        assert not re.search(r"<script|\son\w+=|\sstyle=|javascript:", found.body)
        assert not re.search(r"(?:href|src|action|url|import)\W{0,3}(?:https?:)?//", found.body)


def test_browsers_are_told_to_keep_what_is_typed_to_themselves(visitor, served, taught):
    """Some remember it, and some ask their maker to check its spelling or to translate it."""
    pages = [visitor.get(path).body for path in everywhere(taught)]
    pages.append(served.ask("GET", "/").body)
    fields = [
        field
        for body in pages
        for field in re.findall(r"<(?:input|textarea)[^>]*>", body)
        if not re.search(r'type="(?:hidden|radio|checkbox)"', field)
    ]
    assert len(fields) > 8
    for field in fields:
        assert 'spellcheck="false"' in field
        assert 'autocomplete="off"' in field
    assert all('translate="no"' in body for body in pages)


def test_texts_of_the_person_stand_in_pages_and_in_no_title_address_or_header(visitor, taught):
    for path in everywhere(taught):
        found = visitor.get(path)
        title = re.search(r"<title>(.*)</title>", found.body)
        addresses = re.findall(r'(?:href|action|src)="([^"]*)"', found.body)
        assert not tells(str([title, addresses, found.headers]))
    assert SUMMARY in visitor.get().text


def test_what_a_form_says_stands_in_no_redirect_and_in_no_log(visitor, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    for path, name in (("state", "statement"), ("summary", "summary")):
        done = visitor.send(path, {name: "Wombats, please."})
        assert "ombat" not in str(done.headers)
    visitor.send("preview", {"prompt": "Wombats?", "to": "openai:wombat@ftp://x"})
    visitor.send("allow", {"destination": "Wombats", "level": "none", "days": "1"})
    assert "ombat" not in caplog.text
    assert "ombat" not in "".join(capfd.readouterr())


def test_markup_in_a_text_is_shown_and_not_obeyed(served, taught, visitor):
    name = taught.add(MARKUP, f"{MARKUP}1", f"{MARKUP}2", meta={"x": MARKUP})
    taught.state(MARKUP)
    taught.edit_summary(MARKUP)
    for path in ("", "choices", f"choices/{name}", f"choices/{name}/forget", "leaving"):
        body = visitor.get(path).body
        assert "<script" not in body
        assert "<b>bold" not in body
        assert "&lt;script&gt;" in body
    refused = visitor.send("preview", {"prompt": MARKUP, "to": f'"><script>{MARKUP}'})
    assert refused.status == 400
    assert "<script" not in refused.body


# ------------------------------------------------------------------------------ what it shows


def test_it_says_what_is_known_and_which_choices_say_so(visitor, taught):
    page = visitor.get()
    assert SUMMARY in page.text
    assert "Concise" in page.text
    assert "short and to the point" in page.text
    taught_id = next(m.id for m in taught.memories() if m.pair.prompt == ASKED)
    assert f'{visitor.home}/choices/{taught_id}"' in page.body


@pytest.fixture
def brief(taught):
    """Somebody who chose the short answer eight times more."""
    for number in range(8):
        taught.add(f"Is number {number} good?", "Yes.", f"That depends on {number} things. " * 20)
    return taught


def section(page, title):
    """The markup of one section."""
    return re.search(rf'<section aria-labelledby="{title}">.*?</section>', page.body, re.DOTALL)[0]


def test_preferences_come_first_in_plain_words(visitor, brief):
    page = visitor.get()
    (found,) = (each for each in brief.preferences() if each.applied)
    assert found.likes == "short answers"
    total = found.supporting + found.contrary
    assert f"short answers applied {found.supporting:g} of {total:g} choices, " in page.text
    assert "sure" in section(page, "likes-title")
    for name in found.choices[:3]:
        assert f'{visitor.home}/choices/{name}"' in section(page, "likes-title")
    titles = ("likes-title", "stated-title", "summary-title", "learned-title")
    places = [page.body.index(f'id="{title}"') for title in titles]
    assert places == sorted(places)
    assert "nats" not in section(page, "likes-title")
    assert "nats" in section(page, "learned-title")


def test_a_preference_is_corrected_and_the_correction_taken_back(visitor, brief):
    fields = {"name": "length", "pole": "low", "how": "wrong"}
    assert "it is not said now" in visitor.follow("correct", fields).text
    assert "You corrected it: that is not you." in visitor.get().text
    assert not any(each.applied for each in brief.preferences())
    page = visitor.follow("correct", fields | {"how": "only", "topic": "cooking & more"})
    assert "You corrected it: only about cooking & more." in page.text
    (correction,) = brief.corrections()
    assert correction.only == "cooking & more"
    assert "taken back" in visitor.follow("uncorrect", {"id": correction.id}).text
    assert brief.corrections() == []
    assert visitor.send("uncorrect", {"id": correction.id}).status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Zanzibar"},
        {"pole": "Zanzibar"},
        {"how": ""},
        {"how": "only"},
        {"how": "only", "topic": "Zanzibar" * 50},
        {"how": "only", "topic": "Zanzibar\x00"},
    ],
    ids=str,
)
def test_a_correction_that_cannot_be_is_refused(visitor, brief, change):
    page = visitor.send("correct", {"name": "length", "pole": "low", "how": "wrong"} | change)
    assert page.status == 400
    assert 'role="alert"' in page.body
    alert = re.search(r'<p class="note problem" role="alert".*?</p>', page.body)[0]
    assert "Zanzibar" not in alert
    assert brief.corrections() == []


def test_a_correction_of_what_is_no_longer_believed_can_be_taken_back(visitor, brief):
    brief.correct("emoji", "high", only="letters")
    page = visitor.get()
    assert "What else you corrected (1)" in page.text
    assert "emoji: only about letters" in page.text
    (correction,) = brief.corrections()
    visitor.follow("uncorrect", {"id": correction.id})
    assert brief.corrections() == []


def test_a_statement_names_the_assistant_that_reported_it(visitor, taught):
    taught.state("Metric units, please", program="desk")
    assert "reported by mcp:desk" in visitor.get().text


def asked(page):
    return int(re.search(r'name="question" value="(\d+)"', page.body)[1])


def test_a_question_is_answered_and_the_next_one_is_put(visitor, taught):
    page, before = visitor.get("ask"), taught.counts().memories
    question = taught.question()
    for text in (question.prompt, *question.answers):
        assert " ".join(text.split()) in page.text
    page = visitor.follow("ask", {"question": str(asked(page)), "answer": "1"})
    assert "Remembered" in page.text
    kept = next(iter(taught.memories()))
    assert (kept.pair.prompt, kept.pair.chosen) == (question.prompt, question.answers[1])
    assert kept.pair.rejected == question.answers[0]
    assert taught.counts().memories == before + 1
    assert question.prompt not in page.text


def test_a_question_that_is_passed_over_teaches_nothing_and_does_not_return(visitor, taught):
    first_asked, before = taught.question().prompt, taught.counts()
    page = visitor.follow("ask/skip", {"question": str(asked(visitor.get("ask")))})
    assert first_asked not in page.text
    assert first_asked not in visitor.get("ask").text
    assert taught.counts() == before


def test_when_every_question_was_asked_the_page_says_so(visitor, taught):
    while (page := visitor.get("ask")) and 'name="question"' in page.body:
        visitor.send("ask/skip", {"question": str(asked(page))})
    assert "There is nothing left to ask." in page.text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"question": "0"},
        {"answer": "0"},
        {"question": "100000", "answer": "0"},
        {"question": "-1", "answer": "0"},
        {"question": "0", "answer": "2"},
        {"question": "Zanzibar", "answer": "0"},
    ],
    ids=str,
)
def test_an_answer_to_no_question_is_refused(lasting, fields):
    before = lasting.served.pocket.counts()
    page = lasting.send("ask", fields)
    assert page.status == 400
    assert "Zanzibar" not in page.text
    assert lasting.served.pocket.counts() == before


def test_a_choice_is_shown_whole_with_what_it_taught(visitor, taught):
    taught_id = next(m.id for m in taught.memories() if m.pair.prompt == ASKED)
    page = visitor.get(f"choices/{taught_id}")
    assert "Well, that depends on many things." in page.text
    assert "Concise" in page.text


def test_a_choice_is_shown_without_working_out_the_whole_profile(visitor, taught, monkeypatch):
    monkeypatch.setattr(type(taught), "profile", None)
    taught_id = next(m.id for m in taught.memories() if m.pair.prompt == ASKED)
    assert "Concise" in visitor.get(f"choices/{taught_id}").text


def test_many_choices_come_in_pages(visitor, taught):
    for number in range(60):
        taught.add(f"Question {number}?", "Yes.", "No.")
    one, two = visitor.get("choices"), visitor.get("choices?page=2")
    assert "Question 59?" in one.text
    assert "Question 59?" not in two.text
    assert "Question 3?" in two.text
    assert "page=2" in one.body
    for wrong in ("0", "-1", "99", "x", "1e9", "9" * 30, quote("٣")):
        assert visitor.get(f"choices?page={wrong}").status == 200


def test_the_verdict_is_shown_with_its_figures(visitor, taught):
    assert "too few choices to tell" in visitor.get("helps").text
    for number in range(12):
        taught.add(f"Is number {number} good?", "Yes.", f"That depends on {number} things.")
    verdict = taught.verdict()
    page = visitor.get("helps")
    assert verdict.words() in page.text
    assert f"{verdict.predicted:g} of {verdict.asked}" in page.text


def test_where_nothing_is_known_each_page_says_so(place):
    with place.open() as empty, serving(empty, place.folder) as served:
        visitor = served.visitor()
        for path in PATHS:
            assert visitor.get(path).status == 200
        assert "There is no summary yet" in visitor.get().text
        assert "Nothing: no destination is allowed." in visitor.get("leaving").text


def test_with_the_model_gone_one_still_sees_forgets_and_takes_back(place, taught):
    taught.egress.allow(Destination.parse("mcp:desk"), Level.ATTRIBUTES)
    path, key = place.folder / "vault.db", KeyFile(place.folder / "key")
    gone = place.folder / "gone.gguf"
    with (
        pocketpref.open(path=path, key=key, model=gone, config=Config()) as pocket,
        serving(pocket, place.folder) as served,
    ):
        visitor = served.visitor()
        for where in PATHS:
            assert visitor.get(where).status == 200, where
        page = visitor.get()
        assert SUMMARY in page.text
        assert "This needs the model that learned it" in page.text
        name = first(pocket)
        assert SECRETS["chosen"] in visitor.get(f"choices/{name}").text
        assert "Forgotten for good" in visitor.follow("forget", {"id": name}).text
        (grant,) = pocket.egress.grants()
        assert "Taken back" in visitor.follow("revoke", {"id": grant.id}).text
        fields = {"destination": "mcp:desk", "level": "none", "days": "1"}
        assert "Allowed" in visitor.follow("allow", fields).text
        assert visitor.send("summary", {"summary": "Other words."}).status == 500


# ------------------------------------------------------------------------------ what it does


def test_a_summary_is_changed_and_the_one_before_becomes_history(visitor, taught):
    page = visitor.follow("summary", {"summary": "Only metric units.\r\nShort."})
    assert "Your summary is kept." in page.text
    assert taught.summary().text == "Only metric units. Short."
    assert "Earlier ones (1)" in page.text
    assert "Your summary is kept." not in visitor.get().text  # it is said once
    assert (
        "Nothing was changed" in visitor.follow("summary", {"summary": taught.summary().text}).text
    )


def test_a_statement_is_kept_and_taken_back(visitor, taught):
    assert "Kept." in visitor.follow("state", {"statement": "Metric units, please."}).text
    (each,) = [s for s in taught.statements() if s.text == "Metric units, please."]
    assert "Taken back." in visitor.follow("unstate", {"id": each.id}).text
    assert "Metric units, please." not in [s.text for s in taught.statements()]
    assert visitor.send("unstate", {"id": each.id}).status == 404


def test_a_choice_is_forgotten_for_good_after_a_question(visitor, taught):
    name = first(taught)
    assert "for good" in visitor.get(f"choices/{name}/forget").text
    page = visitor.follow("forget", {"id": name})
    assert "Forgotten for good" in page.text
    assert SECRETS["prompt"] not in page.text
    for path in (f"choices/{name}", f"choices/{name}/forget"):
        assert visitor.get(path).status == 404
    assert visitor.send("forget", {"id": name}).status == 404


def test_everything_is_forgotten_only_if_the_word_is_typed(visitor, taught):
    refused = visitor.send("everything", {"word": "yes"})
    assert refused.status == 400
    assert taught.counts().memories == 2
    page = visitor.follow("everything", {"word": " Forget "})
    assert "Everything is forgotten" in page.text
    assert taught.counts().memories == 0
    assert "There is no summary yet" in visitor.get().text


def test_a_destination_is_allowed_and_taken_back_and_both_are_on_the_log(visitor, taught):
    fields = {"destination": "mcp:desk", "level": "summary", "days": "7", "daily": "5"}
    page = visitor.follow("allow", fields)
    assert "mcp:desk" in page.text
    assert "your preference summary, as it was then" in page.text
    assert "0 of 5 used today" in page.text
    (grant,) = taught.egress.live()
    assert (grant.level, grant.daily, grant.summary_hash is None) == (Level.SUMMARY, 5, False)
    taken = visitor.follow("revoke", {"id": grant.id})
    assert "Taken back" in taken.text
    assert taught.egress.live() == []
    assert [entry.event for entry in taught.egress.log()] == ["granted", "revoked"]
    assert visitor.send("revoke", {"id": grant.id}).status == 404
    visitor.follow("allow", fields | {"any_summary": "yes"})
    assert taught.egress.live()[0].summary_hash is None


@pytest.mark.parametrize(
    "change",
    [
        {"destination": ""},
        {"destination": "nonsense"},
        {"destination": "openai:x@http://evil.example"},
        {"level": ""},
        {"level": "everything"},
        {"days": ""},
        {"days": "0"},
        {"days": "400"},
        {"days": "ten"},
        {"daily": "0"},
        {"daily": "-3"},
    ],
    ids=str,
)
def test_what_cannot_be_allowed_is_said_with_the_form_as_it_was_filled(lasting, change):
    fields = {"destination": "mcp:desk", "level": "attributes", "days": "12", "daily": "77"}
    page = lasting.send("allow", fields | change)
    assert page.status == 400
    assert 'role="alert"' in page.body
    assert "<title>Problem" in page.body
    if "daily" not in change:
        assert 'value="77"' in page.body
    assert lasting.served.pocket.egress.grants() == []


def test_what_was_typed_in_one_form_leaves_the_others_as_they_are(visitor):
    page = visitor.send("preview", {"prompt": "Tea?", "to": "nonsense"})
    assert page.status == 400
    assert 'value="nonsense"' in page.body
    assert re.search(r'name="days"[^>]*value="30"', page.body)
    allow, look = re.findall(r"<details( open)?>\s*<summary>(?:Allow|See)", page.body)
    assert (allow, look) == ("", " open")
    stated = visitor.send("state", {"statement": " "})
    assert stated.status == 400
    assert f">{SUMMARY}</textarea>" in stated.body
    assert " open>" not in stated.body


def test_a_preview_shows_exactly_the_bytes_and_sends_and_logs_nothing(visitor, taught):
    wanted = taught.preview("Tea & cake?", to="openai:gpt-5")
    page = visitor.send("preview", {"prompt": "Tea & cake?", "to": "openai:gpt-5"})
    assert page.status == 200
    assert wanted.body.decode() in page.text
    assert "no: nothing allows it" in page.text
    assert taught.egress.log() == []


def test_what_left_is_shown_byte_for_byte_until_it_is_forgotten(visitor, taught):
    taught.egress.allow(Destination.parse("mcp:desk"), Level.SUMMARY, offer=taught.offer())
    cleared = taught.clear(SECRETS["prompt"], to="mcp:desk")
    assert "1 request left" in visitor.get("leaving").text
    page = visitor.get(f"leaving/{cleared.release}")
    shown = re.search(r"<pre[^>]*>(.*?)</pre>", page.body, re.DOTALL)[1]
    assert (
        shown.replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'")
        == cleared.body.decode()
    )
    taught.forget(first(taught))
    after = visitor.get(f"leaving/{cleared.release}")
    assert SECRETS["prompt"] not in after.text
    assert "forgotten here" in after.text


def test_a_key_is_kept_shown_to_nobody_and_removed(visitor, taught):
    for address in ("openai:gpt-5", "openai:own@http://[::1]:8080/v1"):
        page = visitor.follow("key", {"address": address, "key": "sk-very-secret-77"})
        assert "sk-very-secret-77" not in page.everything
    kept = taught.api_keys.addresses()
    assert len(kept) == 2
    for address in kept:
        assert address in visitor.get("machine").text
        assert "The key is removed." in visitor.follow("key/remove", {"address": address}).text
    assert taught.api_keys.addresses() == []
    assert visitor.send("key/remove", {"address": kept[0]}).status == 404
    bad = visitor.send("key", {"address": "openai:gpt-5", "key": "two words sk-77"})
    assert bad.status == 400
    assert "sk-77" not in bad.everything


def test_the_default_model_is_chosen_from_those_that_are_there(visitor, place):
    page = visitor.get("machine")
    assert "starter" in page.text
    assert "Chosen" in visitor.follow("model", {"model": "starter"}).text
    assert 'model = "starter"' in (place.folder / "config.toml").read_text()
    assert visitor.send("model", {"model": "../../etc/passwd"}).status == 404


# ------------------------------------------------------------------------------ bad requests


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&" * 1000,
        b"token=a&token=b",
        b"=%ff",
        b"statement=%ed%a0%80",
        b"\xff\xfe",
        "&".join(f"a{n}=1" for n in range(1000)).encode(),
        b"%",
    ],
    ids=len,
)
def test_what_is_no_form_is_refused_and_nothing_falls_over(lasting, body):
    found = lasting.served.ask(
        "POST",
        f"{lasting.home}/state",
        body,
        cookie=lasting.cookie,
        sec_fetch_site="same-origin",
    )
    assert found.status == 400
    assert "Traceback" not in found.body
    assert lasting.get().status == 200


def test_a_text_that_is_no_unicode_or_too_long_is_refused_in_words(visitor, taught):
    token = visitor.token
    for path, field in (("state", "statement"), ("summary", "summary")):
        long = visitor.send(path, {field: "x" * 3000})
        assert long.status == 400
        assert "characters" in long.text
        broken = visitor.served.ask(
            "POST",
            f"{visitor.home}/{path}",
            f"token={token}&{field}=%ed%a0%80",
            cookie=visitor.cookie,
            sec_fetch_site="same-origin",
        )
        assert broken.status == 400
    assert taught.summary().text == SUMMARY


def test_a_form_that_is_too_large_is_refused_whether_it_says_so_or_not(visitor, served):
    claimed = served.ask(
        "POST", f"{visitor.home}/state", "x" * (MOST_FORM_BYTES + 1), cookie=visitor.cookie
    )
    assert claimed.status == 413
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=20)) as line:
        line.sendall(
            f"POST /enter HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nTransfer-Encoding: chunked"
            "\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
        )
        try:
            for _ in range(30):
                line.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            found = line.recv(4096)
        except OSError:
            found = b""
    assert not found or b" 403 " in found.split(b"\r\n")[0]
    assert visitor.get().status == 200


def test_two_hosts_or_cookies_in_one_request_are_refused(visitor, served):
    for more in ("Host: evil.example", f"Cookie: {visitor.cookie}"):
        with closing(socket.create_connection(("127.0.0.1", served.port), timeout=20)) as line:
            line.sendall(
                f"GET {visitor.home}/ HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
                f"Cookie: {visitor.cookie}\r\n{more}\r\n\r\n".encode()
            )
            assert line.recv(64).startswith(b"HTTP/1.1 400")


def test_a_failure_is_said_in_words_and_quotes_nothing(visitor, taught, monkeypatch, capfd):
    def broken():
        raise ValueError(SECRETS["chosen"])

    monkeypatch.setattr(taught, "summary", broken)
    found = visitor.get()
    assert found.status == 500
    assert "Unexpected ValueError in pocketpref." in found.text

    def full():
        raise StorageError("the disk is full", hint="free some space")

    monkeypatch.setattr(taught, "summary", full)
    found = visitor.get()
    assert found.status == 500
    assert "The disk is full (free some space)" in found.text
    assert "marmalade" not in found.everything
    assert "Traceback" not in "".join(capfd.readouterr())


# ------------------------------------------------------------------------------ its end


def test_it_ends_when_it_is_closed(served, visitor):
    page = visitor.send("end")
    assert page.status == 200
    assert "closed" in page.text
    assert served.ended()
    assert served.was_idle is False


def test_it_ends_when_nobody_uses_it_and_strangers_do_not_keep_it_open(taught, place):
    with serving(taught, place.folder, idle=1.0) as served:
        visitor = served.visitor()
        began = time.monotonic()
        while time.monotonic() - began < 1.7:
            assert visitor.get("machine").status == 200
            time.sleep(0.2)
        last = time.monotonic()
        while not served.ended(0.1):
            assert time.monotonic() - last < 10
            try:
                served.ask("GET", f"{visitor.home}/")
            except OSError:
                break
        assert served.ended()
        assert served.was_idle is True


def test_the_real_program_shows_the_browser_a_file_and_no_code(place, tmp_path):
    """What the browser's command line says is in the list of processes for all to read."""
    said = tmp_path / "said"
    browser = tmp_path / "browser.py"
    browser.write_text(
        "import sys, pathlib\n"
        f"place = pathlib.Path({str(said)!r})\n"
        "file = sys.argv[1].removeprefix('file://')\n"
        "content = pathlib.Path(file).read_text()\n"
        "part = place.with_suffix('.part')\n"
        "part.write_text(sys.argv[1] + '\\n' + content)\n"
        "part.rename(place)\n"
    )
    environ = {**os.environ, **place.environ, "BROWSER": f"{sys.executable} {browser} %s"}
    with subprocess.Popen(
        [sys.executable, "-m", "pocketpref", "open", "--idle", "5"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines = [process.stderr.readline(), process.stderr.readline()]
        code = lines[1].split()[-1]
        began = time.monotonic()
        while not said.exists():
            assert time.monotonic() - began < 30
            time.sleep(0.05)
        shown, _, content = said.read_text().partition("\n")
        assert shown.startswith("file:///")
        assert code not in shown
        assert code in content
        if Path("/proc/self/cmdline").exists():
            assert code.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert list(place.folder.rglob("open-*.html")) == []
