"""The page in a real Chromium: every flow by the keyboard alone, and what it looks like.

Where there is no Chromium these are skipped; ``make chromium`` fetches one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.server.web.session import opening_file
from tests.server.browsing import (
    AXE,
    CONTRASTS,
    NARROW,
    PHONE,
    STRUCTURE,
    SWITCHES,
    WIDE,
    Tab,
    chromium,
    tab,
)
from tests.server.conftest import ASKED, SUMMARY, begun
from tests.server.visiting import Served, serving

PATHS = ["", "ask", "choices", "helps", "leaving", "machine", "everything"]
WITHOUT_SCRIPTS = {"java_script_enabled": False}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: make chromium"
    )
    path = chromium()
    if path is None:
        pytest.skip("no Chromium is found: make chromium, or CHROMIUM=/path/to/it")
    with playwright.sync_playwright() as running:
        libraries = path.parent / "lib"
        environ = {**os.environ}
        if libraries.is_dir():
            environ["LD_LIBRARY_PATH"] = str(libraries)
        started = running.chromium.launch(
            executable_path=str(path), args=list(SWITCHES), env=environ
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def full_vault(lasting_place) -> Path:
    """Of somebody of whom something of everything is known."""
    with lasting_place.open() as pocket:
        _fill(begun(pocket))
    return lasting_place.folder


@pytest.fixture
def full(full_vault, place):
    """The same person, anew for each test."""
    for name in ("vault.db", "key"):
        shutil.copy(full_vault / name, place.folder / name)
    with place.open() as pocket:
        yield pocket


def _fill(pocket):
    for number in range(14):
        pocket.add(f"Is number {number} good?", "Yes.", f"That depends on {number} things.")
    pocket.add(ASKED, "Yes.", "Well, that depends on many things. " * 20)
    pocket.learn()
    pocket.state("Metric units, please")
    pocket.egress.allow(Destination.parse("mcp:desk"), Level.SUMMARY, offer=pocket.offer())
    pocket.egress.allow(Destination.parse("openai:gpt-5"), Level.ATTRIBUTES, daily=20)
    pocket.egress.finished(pocket.clear("How far is the moon?", to="mcp:desk"), "handed over")


@pytest.fixture
def served(full, place):
    with serving(full, place.folder) as served:
        yield served


def enter(tab: Tab) -> None:
    """By the code, typed."""
    tab.page.goto(f"http://127.0.0.1:{tab.served.port}/")
    tab.wait_for_focus("Code")
    tab.page.keyboard.type(tab.served.code)
    with tab.page.expect_navigation(url="**/*/"):
        tab.page.keyboard.press("Enter")
    tab.page.wait_for_url(
        lambda url: (
            len(url.split("/")) == 5 and url.endswith("/") and (url.split("/")[3] != "enter")
        )
    )
    assert "How you like to be answered" in tab.text()


# ------------------------------------------------------------------------------ the way in


@pytest.mark.parametrize("options", [{}, WITHOUT_SCRIPTS], ids=["scripts", "no scripts"])
def test_the_file_opens_the_page_and_leaves_no_code_in_the_history(
    browser, served, tmp_path, options
):
    with (
        opening_file(tmp_path, served.port, served.code) as path,
        tab(browser, served, **options) as here,
    ):
        here.page.goto(path.as_uri())
        if options:
            here.wait_for_focus("Open pocketpref")
            here.page.keyboard.press("Enter")
        here.page.wait_for_url(f"http://127.0.0.1:{served.port}/*/")
        assert SUMMARY in here.text()
        code = served.code.replace("-", "")
        assert all(code not in url.replace("-", "") for url in here.asked)
        here.go("choices")
        assert "Your choices" in here.text()
        cookies = here.page.context.cookies()
        assert [(c["httpOnly"], c["sameSite"], c["expires"]) for c in cookies] == [
            (True, "Strict", -1)
        ]
        # The cookie does not reach other ports, which belong to other programs.
        assert here.page.context.cookies("http://127.0.0.1:1/") == []


def test_a_wrong_code_is_said_and_another_browser_sees_nothing(browser, served):
    with tab(browser, served) as stranger, tab(browser, served) as here:
        stranger.page.goto(f"http://127.0.0.1:{served.port}/")
        stranger.wait_for_focus("Code")
        stranger.page.keyboard.type("0000-0000-0000")
        stranger.press()
        assert "That is not the code" in stranger.text()
        enter(here)
        stranger.page.goto(here.page.url)
        assert SUMMARY not in stranger.page.content()
        assert "You are not signed in here" in stranger.text()


def test_a_page_of_another_origin_can_neither_send_a_form_nor_show_the_page(browser, served, full):
    """The other page knows address and token, which it cannot; the cookie is in this browser."""
    with tab(browser, served) as here:
        enter(here)
        token = here.page.locator("[name=token]").first.get_attribute("value")
        name = next(full.memories()).id
        before = full.counts()
        hostile = f"""<form method="post" action="{here.home}/forget">
            <input name="token" value="{token}"><input name="id" value="{name}"></form>
            <iframe src="{here.home}/"></iframe><img src="{here.home}/choices">"""
        home = here.home
        for origin in ("http://evil.example", "http://127.0.0.1:9", "http://localhost:9"):
            here.page.route(
                f"{origin}/**", lambda route: route.fulfill(content_type="text/html", body=hostile)
            )
            here.page.goto(f"{origin}/")
            assert all(SUMMARY not in frame.content() for frame in here.page.frames)
            with here.page.expect_navigation():
                here.page.evaluate("document.forms[0].submit()")
            assert full.counts() == before
        here.page.goto(f"{home}/")
        assert SUMMARY in here.text()  # the visit itself goes on


def test_the_real_program_opens_a_real_browser_and_ends_by_ctrl_c(browser, place, tmp_path):
    said, starter = tmp_path / "said", tmp_path / "browser.py"
    starter.write_text(f"import sys\nopen({str(said)!r}, 'a').write(sys.argv[1])\n")
    environ = {**os.environ, **place.environ, "BROWSER": f"{sys.executable} {starter} %s"}
    with place.open() as pocket:
        begun(pocket)
    with subprocess.Popen(
        [sys.executable, "-m", "pocketpref", "open"], env=environ, stderr=subprocess.PIPE, text=True
    ) as process:
        began = time.monotonic()
        while not (said.exists() and said.read_text()):
            assert time.monotonic() - began < 60
            time.sleep(0.05)
        with tab(browser, Served(pocket, place.folder)) as here:
            here.page.goto(said.read_text())
            here.page.wait_for_url("http://127.0.0.1:*/*/")
            assert SUMMARY in here.text()
            assert list(place.folder.rglob("open-*.html")) == []
            ended = time.monotonic()
            process.send_signal(signal.SIGINT)  # while the browser holds its connection
            _, err = process.communicate(timeout=30)
            assert time.monotonic() - ended < 8
    assert process.returncode == 130
    assert "Traceback" not in err


# ------------------------------------------------------------------------------ every flow


@pytest.fixture
def here(browser, served) -> Iterator[Tab]:
    """A tab with scripts switched off: there is none that could be missed."""
    with tab(browser, served, **WITHOUT_SCRIPTS) as made:
        enter(made)
        yield made
        own = f"http://127.0.0.1:{served.port}/"
        assert [url for url in made.asked if not url.startswith(own)] == []
        expected = "the server responded with a status of 4"
        assert [words for words in made.said if expected not in words] == []


def test_the_summary_is_edited_by_keyboard(here, full):
    here.reach("Change it", "summary")
    here.page.keyboard.press("Enter")
    here.reach("Your summary, in your own words", "textarea")
    here.type("Metric units. Short answers.")
    here.reach("Keep this summary", "button")
    here.press()
    assert "Your summary is kept." in here.text()
    assert full.summaries()[-1].text == "Metric units. Short answers."


def test_a_statement_is_made_and_taken_back_by_keyboard(here, full):
    here.reach("Say how you like to be answered", "input")
    here.page.keyboard.type("No emoji")
    here.press()
    assert "Kept." in here.text()
    here.reach("Take back: No emoji", "button")
    here.press()
    assert "Taken back." in here.text()
    assert "No emoji" not in [each.text for each in full.statements()]


def test_a_preference_is_corrected_by_keyboard(here, full):
    likes = next(each.likes for each in full.preferences() if each.applied)
    here.reach(f"Correct it for {likes}", "summary")
    here.page.keyboard.press("Enter")
    here.reach(f"Only about this topic: {likes}", "input")
    here.page.keyboard.type("cooking")
    here.press()
    assert "You corrected it: only about cooking." in here.text()
    here.reach(f"Take the correction back: {likes}", "button")
    here.press()
    assert full.corrections() == []


def test_a_question_is_answered_by_keyboard(here, full):
    before = full.counts().memories
    here.reach("Ask me", "a")
    here.press()
    here.reach("I prefer the second", "button")
    here.press()
    assert "Remembered" in here.text()
    assert full.counts().memories == before + 1


def test_evidence_leads_to_a_choice_and_that_is_forgotten_by_keyboard(here, full):
    here.reach("Why: ", "summary")
    here.page.keyboard.press("Enter")
    here.reach("Is number", "a")
    here.press()
    assert "You preferred" in here.text()
    name = here.page.url.rpartition("/")[2]
    here.reach("Forget this choice", "a")
    here.press()
    here.reach("Forget it for good", "button")
    here.press()
    assert "Forgotten for good" in here.text()
    assert name not in [memory.id for memory in full.memories()]


def test_going_back_shows_nothing_that_was_forgotten(here, full):
    name = next(full.memories()).id
    here.go(f"choices/{name}")
    assert ASKED in here.text()
    here.go(f"choices/{name}/forget")
    here.reach("Forget it for good", "button")
    here.press()
    for _ in range(2):
        here.page.go_back()
        assert ASKED not in here.page.content()


def test_a_destination_is_allowed_previewed_and_taken_back_by_keyboard(here, full):
    here.reach("What leaves", "a")
    here.press()
    here.reach("Allow a destination", "summary")
    here.page.keyboard.press("Enter")
    here.reach("Destination", "input")
    here.page.keyboard.type("anthropic:claude")
    here.reach("Nothing but the request", "input")
    here.page.keyboard.press("ArrowDown")  # none is chosen beforehand: the arrow chooses
    here.reach("For how many days", "input")
    here.type("3")
    here.press()
    assert "Allowed, and written on the log." in here.text()
    (grant,) = [g for g in full.egress.live() if g.destination.dialect == "anthropic"]
    assert grant.level is Level.ATTRIBUTES
    here.reach("See what would leave", "summary")
    here.page.keyboard.press("Enter")
    here.reach("Destination", "input")
    here.page.keyboard.type("anthropic:claude")
    here.reach("What you would ask", "textarea")
    here.page.keyboard.type("How far is the sun?")
    here.reach("Show the bytes", "button")
    here.press()
    wanted = full.preview("How far is the sun?", to="anthropic:claude").body.decode()
    assert wanted in here.text()
    here.reach(f"Take back what is allowed to {grant.destination}", "button")
    here.press()
    assert "Taken back" in here.text()
    assert grant.destination not in [g.destination for g in full.egress.live()]


def test_what_left_is_read_by_keyboard(here, full):
    here.reach("What leaves", "a")
    here.press()
    here.reach("left for mcp:desk on", "a")
    here.press()
    assert "How far is the moon?" in here.text()
    here.reach("The bytes that left", "pre")


def test_a_problem_is_said_and_what_was_typed_is_still_there(here):
    here.go("leaving")
    here.reach("Allow a destination", "summary")
    here.page.keyboard.press("Enter")
    here.reach("Destination", "input")
    here.page.keyboard.type("nonsense")
    here.reach("Nothing but the request", "input")
    here.page.keyboard.press("Space")
    here.press()
    assert "cannot be used" in here.page.locator("[role=alert]").inner_text()
    assert here.page.title().startswith("Problem")
    assert here.page.locator("#destination").input_value() == "nonsense"


def test_a_key_is_kept_and_removed_by_keyboard(here, full):
    here.reach("Models", "a")
    here.press()
    here.reach("Keep a key", "summary")
    here.page.keyboard.press("Enter")
    here.reach("For which destination", "input")
    here.page.keyboard.type("openai:gpt-5")
    here.reach("Key", "input")
    here.page.keyboard.type("sk-secret-77")
    here.press()
    assert full.api_keys.addresses() == ["https://api.openai.com:443"]
    assert "sk-secret" not in here.page.content()
    here.reach("Remove the key for", "button")
    here.press()
    assert full.api_keys.addresses() == []


def test_a_model_is_chosen_by_keyboard(here, place):
    here.go("machine")
    here.reach("starter", "input")
    here.press()
    assert "Chosen" in here.text()
    assert 'model = "starter"' in (place.folder / "config.toml").read_text()


def test_everything_is_forgotten_by_keyboard(here, full):
    here.reach("Choices", "a")
    here.press()
    here.reach("Forget everything", "a")
    here.press()
    here.reach("Type the word", "input")
    here.page.keyboard.type("forget")
    here.press()
    assert "Everything is forgotten" in here.text()
    assert full.counts().memories == 0


def test_pages_of_choices_are_turned_by_keyboard(here, full):
    for number in range(50):
        full.add(f"Newer question {number}?", "Yes.", "No.")
    here.go("choices")
    assert ASKED not in here.text()
    here.reach("Older", "a")
    here.press()
    assert ASKED in here.text()
    here.reach("Newer", "a")
    here.press()
    assert ASKED not in here.text()


def test_the_skip_link_comes_first_and_the_page_is_closed_by_keyboard(here):
    here.page.keyboard.press("Tab")
    assert here.focused()["name"] == "Skip to the content"
    here.page.keyboard.press("Enter")
    assert here.page.url.endswith("#main")
    here.reach("Close the page", "button")
    here.press()
    assert "The page is closed." in here.text()
    assert here.served.ended()


# ------------------------------------------------------------------------------ how it looks


def everywhere(full) -> list[str]:
    memory, entry = next(full.memories()).id, full.egress.log()[-2].id
    return [*PATHS, f"choices/{memory}", f"choices/{memory}/forget", f"leaving/{entry}", "nothing"]


def _unfold(here: Tab) -> None:
    here.page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_contrast_structure_and_room(browser, served: Served, full, scheme):
    with tab(browser, served, color_scheme=scheme) as here:
        here.page.goto(f"http://127.0.0.1:{served.port}/")
        _judge(here, door=True)
        enter(here)
        for path in everywhere(full):
            here.go(path)
            _judge(here)


def _judge(here: Tab, *, door: bool = False) -> None:
    _unfold(here)
    weak = [each for each in here.page.evaluate(CONTRASTS) if each["seen"] < each["least"]]
    assert weak == [], here.page.url
    for width, height in (WIDE, PHONE, NARROW):
        here.page.set_viewport_size({"width": width, "height": height})
        found = here.page.evaluate(STRUCTURE)
        area = found.pop("current")
        assert door or area <= 1
        assert found == {
            "language": "en",
            "mains": 1,
            "firsts": 1,
            "skipped": False,
            "doubled": [],
            "unnamed": [],
            "unlabelled": 0,
            "lost": 0,
            "scripts": 0,
            "wide": False,
            "small": [],
        }, (here.page.url, width)
    # Text at twice its size, as those set it who see little.
    here.page.evaluate("document.documentElement.style.fontSize = '200%'")
    here.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    assert not here.page.evaluate(STRUCTURE)["wide"], here.page.url
    here.page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not there: make chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, served, full, scheme):
    source, found = AXE.read_text("utf-8"), {}
    with tab(browser, served, color_scheme=scheme) as here:
        here.page.goto(f"http://127.0.0.1:{served.port}/")
        found["the way in"] = _axe(here, source)
        enter(here)
        for path in everywhere(full):
            here.go(path)
            found[path] = _axe(here, source)
        _problem(here)
        found["a problem"] = _axe(here, source)
        _preview(here)
        found["a preview"] = _axe(here, source)
        here.page.evaluate("document.querySelector('main p').style.color = '#777'")
        assert _axe(here, source) == ["color-contrast"]  # in either scheme
    assert {path: broken for path, broken in found.items() if broken} == {}


def _problem(here: Tab) -> None:
    """A destination is allowed that there cannot be."""
    here.go("leaving")
    _unfold(here)
    here.page.fill("#destination", "nonsense")
    here.page.check("#level-summary")
    with here.page.expect_navigation():
        here.page.click("text=Allow it")


def _preview(here: Tab) -> None:
    """What would leave, from the page before."""
    _unfold(here)
    here.page.fill("#to", "mcp:desk")
    here.page.fill("#prompt", "How far is the sun?")
    with here.page.expect_navigation():
        here.page.click("text=Show the bytes")


def _axe(here: Tab, source: str) -> list[str]:
    _unfold(here)
    here.page.evaluate(source)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = here.page.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
    assert len(found["passes"]) > 15
    return [each["id"] for each in found["violations"] + found["incomplete"]]


def test_the_contrast_check_can_fail(browser, served):
    with tab(browser, served) as here:
        here.page.goto(f"http://127.0.0.1:{served.port}/")
        here.page.evaluate("document.querySelector('p').style.color = '#999'")
        assert [e for e in here.page.evaluate(CONTRASTS) if e["seen"] < e["least"]]


@pytest.mark.skipif("PICTURES" not in os.environ, reason="for eyes: PICTURES=FOLDER")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_pictures_can_be_taken_of_every_page(browser, served, full, scheme, size):
    """Into the folder ``PICTURES``, to be looked at; here only that they are of something."""
    folder = Path(os.environ["PICTURES"])
    folder.mkdir(exist_ok=True)
    names = iter(range(100))

    def take(here, name):
        picture = folder / f"{scheme}-{size[0]}-{next(names):02}-{name}.png"
        here.page.screenshot(path=picture, full_page=True)
        assert picture.stat().st_size > 5000

    with tab(browser, served, size, color_scheme=scheme) as here:
        here.page.goto(f"http://127.0.0.1:{served.port}/")
        take(here, "door")
        enter(here)
        for path in everywhere(full):
            here.go(path)
            take(here, path.split("/")[0] or "you")
            if path in ("", "leaving", "machine"):
                _unfold(here)
                take(here, f"{path or 'you'}-unfolded")
        _problem(here)
        take(here, "problem")
        _preview(here)
        take(here, "preview")
