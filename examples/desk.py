"""A small window that answers, and remembers which answer was better. One file, tkinter only.

    pip install 'pocketpref[cpu,starter]'
    python examples/desk.py

Ask; have the answer made again; keep the better one, or rewrite it. The model works in a thread of
its own, so that the window never stands still. Needs Python with tkinter (on Debian: python3-tk).
"""

from __future__ import annotations

import queue
import threading
import tkinter as tk
from collections.abc import Callable
from tkinter import ttk
from typing import Any

import pocketpref
from pocketpref.errors import PocketprefError
from pocketpref.integrations.feedback_session import Answers


class Desk:
    """What the window does, apart from the window."""

    def __init__(self, pocket: pocketpref.Pocket, tell: Callable[[str, Any], None]) -> None:
        """Build it.

        Args:
            pocket: whose person asks.
            tell: told from another thread: "piece" of an answer, "done", or "problem".
        """
        self._pocket = pocket
        self._tell = tell
        self._answers: Answers | None = None
        self._prompt = ""

    def ask(self, prompt: str) -> None:
        """Answer a prompt."""
        self._prompt, self._answers = prompt, Answers(self._pocket, prompt, program="desk")
        self.again()

    def again(self) -> None:
        """Answer it once more."""
        threading.Thread(target=self._answer, daemon=True).start()

    def kept(self) -> str:
        """The person keeps the last answer. What was remembered, in words."""
        return self._said(self._answers.went_on() if self._answers else ())

    def edited(self, text: str) -> str:
        """The person rewrote the last answer. What was remembered, in words."""
        return self._said(self._answers.edited(text) if self._answers else ())

    @staticmethod
    def _said(kept: tuple[str, ...]) -> str:
        return "remembered" if kept else "nothing to remember: there is no other answer"

    def _answer(self) -> None:
        assert self._answers is not None
        pieces: list[str] = []
        try:
            used = self._pocket.personalize(self._prompt)
            for piece in self._pocket.reply(self._prompt, stream=True):
                pieces.append(piece)
                self._tell("piece", piece)
        except PocketprefError as error:
            self._tell("problem", error.words)
            return
        self._answers.shown("".join(pieces), under=used.attributes)
        self._tell("done", f"answer {len(self._answers)}")


class Window(tk.Tk):
    """The window: a line to ask, the answer, three buttons."""

    def __init__(self, pocket: pocketpref.Pocket) -> None:
        super().__init__()
        self.title("pocketpref")
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.desk = Desk(pocket, lambda kind, value: self._events.put((kind, value)))
        self.prompt = ttk.Entry(self, width=60)
        self.answer = tk.Text(self, width=72, height=16, wrap="word")
        self.words = ttk.Label(self, text="Ask something.")
        row = ttk.Frame(self)
        self.buttons = [
            ttk.Button(row, text=text, command=act)
            for text, act in (
                ("Ask", self.ask),
                ("Another answer", self.another),
                ("Keep this one", self.keep),
                ("Keep as rewritten", self.rewrite),
            )
        ]
        for place, part in enumerate((self.prompt, self.answer, row, self.words)):
            part.grid(row=place, column=0, padx=8, pady=4, sticky="we")
        for button in self.buttons:
            button.pack(side="left", padx=4)
        self.prompt.bind("<Return>", lambda _: self.ask())
        self.prompt.focus()
        self.after(50, self._look)

    def ask(self) -> None:
        """Answer what stands in the line."""
        if prompt := self.prompt.get().strip():
            self._begin()
            self.desk.ask(prompt)

    def another(self) -> None:
        """Another answer to the same."""
        self._begin()
        self.desk.again()

    def keep(self) -> None:
        """The last answer is the better one."""
        self.words["text"] = self.desk.kept()

    def rewrite(self) -> None:
        """The answer as it stands in the window is the better one."""
        self.words["text"] = self.desk.edited(self.answer.get("1.0", "end").strip())

    def _begin(self) -> None:
        self.answer.delete("1.0", "end")
        self.words["text"] = "..."
        for button in self.buttons:
            button.state(["disabled"])

    def _look(self) -> None:
        """Show what the thread has told; windows may be changed from their own thread only."""
        while not self._events.empty():
            kind, value = self._events.get()
            if kind == "piece":
                self.answer.insert("end", value)
                continue
            self.words["text"] = value
            for button in self.buttons:
                button.state(["!disabled"])
        self.after(50, self._look)


def main() -> None:
    """Open the person's pocket and the window on it."""
    with pocketpref.open() as pocket:
        Window(pocket).mainloop()


if __name__ == "__main__":
    main()
