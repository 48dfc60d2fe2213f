"""A real Chromium without a window, for those who have one (``make chromium``).

What it does is driven by the keyboard, and what it asks for is written down.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.server.visiting import Served

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".chromium" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# In a container there is neither a sandbox for it nor much shared memory.
SWITCHES = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")
WIDE, PHONE, NARROW = (1200, 900), (390, 844), (320, 640)


def chromium() -> Path | None:
    """The browser's program: ``CHROMIUM``, what ``make chromium`` fetched, or the system's."""
    for place in (os.environ.get("CHROMIUM"), ROOT / ".chromium" / "chromium"):
        if place and Path(place).is_file():
            return Path(place)
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return Path(found) if found else None


@dataclass
class Tab:
    """One tab.

    Attributes:
        page: Playwright's.
        served: what it visits.
        asked: every address that was asked for.
        said: what the browser complained about.
    """

    page: Any
    served: Served
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def listen(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    @property
    def home(self) -> str:
        """Address of the first page, once it was entered."""
        return "/".join(self.page.url.split("/")[:4])

    def go(self, path: str = "") -> None:
        self.page.goto(f"{self.home}/{path}")

    def text(self) -> str:
        return str(self.page.locator("body").inner_text())

    # -------------------------------------------------------------------- the keyboard alone

    def focused(self) -> dict[str, Any]:
        """What has the focus, and whether that can be seen."""
        return dict(self.page.evaluate(_FOCUSED))

    def wait_for_focus(self, words: str) -> None:
        """Until what the page puts the focus on has it."""
        for _ in range(100):
            if self.focused()["name"] == words:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{words!r} does not get the focus")

    def reach(self, words: str, tag: str = "", most: int = 120) -> None:
        """Press Tab until what is called so has the focus; each stop on the way must be seen."""
        for _ in range(most):
            self.page.keyboard.press("Tab")
            found = self.focused()
            if found["tag"] == "BODY":  # the end of the page: once more around
                continue
            assert found["outline"] >= 2, f"no visible focus on {found}"
            assert found["inView"], f"focus out of sight on {found}"
            if words in found["name"] and tag.upper() in ("", found["tag"]):
                return
        raise AssertionError(f"{words!r} cannot be reached by the keyboard")

    def press(self, key: str = "Enter") -> None:
        """Press a key that leads to another page, and wait for that."""
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        """In place of what the field holds."""
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)


_FOCUSED = """() => {
  const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
  const labels = it.labels ? [...it.labels].map(label => label.innerText).join(' ') : '';
  return {
    tag: it.tagName,
    name: (it.getAttribute('aria-label') || labels || it.innerText || it.value || '')
      .replace(/\\s+/g, ' ').trim(),
    outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
    inView: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
  };
}"""


@contextmanager
def tab(
    browser: Any, served: Served, size: tuple[int, int] = WIDE, **options: Any
) -> Iterator[Tab]:
    """A tab in a profile of its own."""
    width, height = size
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    made = Tab(context.new_page(), served)
    made.listen()
    try:
        yield made
    finally:
        context.close()


CONTRASTS = """() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => {
    const parts = [r, g, b].map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ratio = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = element => {
    for (let it = element; it; it = it.parentElement) {
      const color = parse(getComputedStyle(it).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, it = node.parentElement;
    if (!node.textContent.trim() || !it.checkVisibility()) continue;
    const style = getComputedStyle(it), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const seen = ratio(parse(style.color), behind(it));
    found.push({what: node.textContent.trim().slice(0, 40), seen, least: large ? 3 : 4.5});
  }
  for (const it of document.querySelectorAll('input:not([type=hidden]), textarea, button')) {
    const style = getComputedStyle(it), text = parse(style.color);
    if (!it.checkVisibility()) continue;
    const name = it.name || it.innerText;
    found.push({what: `text of ${name}`, seen: ratio(text, behind(it)), least: 4.5});
    if (it.type === 'radio' || it.type === 'checkbox') continue;
    const edge = parse(style.borderTopColor);
    const around = behind(it.parentElement);
    found.push({what: `edge of ${name}`, seen: ratio(edge, around), least: 3});
  }
  for (const it of document.querySelectorAll('.fill')) {
    const fill = parse(getComputedStyle(it).fill);
    const track = parse(getComputedStyle(it.previousElementSibling).fill);
    found.push({what: 'bar', seen: ratio(fill, track), least: 3});
  }
  const accent = getComputedStyle(document.documentElement).getPropertyValue('--accent').trim();
  const probe = document.createElement('span');
  probe.style.color = accent;
  document.body.append(probe);
  const focus = parse(getComputedStyle(probe).color);
  probe.remove();
  found.push({what: 'focus', seen: ratio(focus, behind(document.body)), least: 3});
  return found;
}"""
"""Contrast of every text with what is behind it, and of edges, bars and the focus."""

STRUCTURE = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const ids = all('[id]').map(it => it.id);
  const levels = all('h1, h2, h3, h4').map(it => Number(it.tagName[1]));
  const named = it => (it.getAttribute('aria-label') || '').trim()
    || [...(it.labels || [])].map(label => label.innerText.trim()).join('')
    || it.innerText.trim();
  return {
    language: document.documentElement.lang,
    mains: all('main').length,
    firsts: levels.filter(level => level === 1).length,
    skipped: levels.some((level, place) => place > 0 && level > levels[place - 1] + 1),
    doubled: ids.filter((id, place) => ids.indexOf(id) !== place),
    unnamed: all('input:not([type=hidden]), textarea, button, a, summary')
      .filter(it => !named(it)).map(it => it.outerHTML),
    unlabelled: all('nav').filter(it => !it.getAttribute('aria-label')).length,
    lost: all('[aria-labelledby], [aria-describedby]').filter(it =>
      !document.getElementById(it.getAttribute('aria-labelledby')
        || it.getAttribute('aria-describedby'))).length,
    current: all('[aria-current=page]').length,
    scripts: document.scripts.length,
    wide: document.documentElement.scrollWidth > innerWidth,
    small: all('button, nav a').filter(it => it.checkVisibility()
      && it.getBoundingClientRect().height < 24).map(it => it.innerText),
  };
}"""
"""What a page is made of, as far as those need to know who do not see it."""
