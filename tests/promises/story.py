"""One person's way through the whole program, with a planted text at every way in.

The commands run as processes of their own with the real starter model and the real embedder, under
strace where it is installed. Private texts go in as ``-`` and ``@FILE``.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.promises.stage import Done, Stage, strace_missing, under_strace
from tests.promises.traces import PLANTS

PROMPT = f"Why is the sky blue, {PLANTS['prompt']}?"
CHOSEN = f"Air scatters blue light, {PLANTS['chosen']}."
REJECTED = f"Nobody knows, {PLANTS['rejected']}!"


@dataclass
class Story:
    """What happened.

    Attributes:
        stage: where.
        trace: strace's log, or None where there is no strace.
        replies: what the model said.
        processes: command lines of all processes while private texts were handed in.
        failures: commands that had to fail.
    """

    stage: Stage
    trace: Path | None
    user: str
    replies: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)
    failures: list[Done] = field(default_factory=list)
    personalized: dict[str, object] = field(default_factory=dict)
    why: str = ""
    gone_on: str = ""


def tell(folder: Path, prepared: Path) -> Story:
    """Run the whole story."""
    trace = None if strace_missing() else folder / "trace"
    stage = Stage.build(folder, before=under_strace(trace) if trace else ())
    stage.lend(prepared)
    story = Story(stage, trace, "@" + stage.prop("user", PLANTS["username"]))
    _learn(story)
    _chat(story)
    _keep(story)
    _fail(story)
    return story


def _learn(story: Story) -> None:
    stage, user = story.stage, story.user
    row = {
        "user": "somebody",
        "prompt": PROMPT,
        "chosen": CHOSEN,
        "rejected": REJECTED,
        "meta": {PLANTS["meta"]: PLANTS["meta"]},
    }
    stage.must("import", stage.prop("pairs.jsonl", json.dumps(row)), "--as", user)
    stage.must("learn", "--budget", "120", "-u", user)
    exact = ("personalize", "-", "--method", "exact", "--json", "-u", user)
    story.personalized = json.loads(stage.must(*exact, stdin=PROMPT.encode()).out)
    # What is stated, asked and corrected passes through the program, too.
    stage.must("state", "-", "-u", user, stdin=PROMPT.encode())
    stage.must("personalize", "-", "--json", "-u", user, stdin=PROMPT.encode())
    stage.must("rank", "-", _text(story, CHOSEN), "No", "-u", user, stdin=PROMPT.encode())
    stage.must("profile", "-u", user)
    score = ("score", "--attributes", "Concise", "--chosen", _text(story, CHOSEN))
    stage.must(*score, "--rejected", _text(story, REJECTED), "--prompt", "-", stdin=PROMPT.encode())


def _chat(story: Story) -> None:
    system = story.stage.prop("system", f"You are {PLANTS['system']}.")
    options = ("-o", "max_tokens", "8", "-o", "seed", "7", "--no-stream", "-s", f"@{system}")
    lines = (PROMPT, "/why", "/retry", "/prefer 1", "/forget", "/prefer 2", PROMPT, "exit", "")
    done = _watched(
        story, ("chat", "--keep", "--method", "exact", *options), "\n".join(lines).encode()
    )
    story.why = done.err
    story.gone_on = story.stage.must("chat", "-c", "-u", story.user, stdin=b"exit\n").err
    story.replies = [
        text for text in done.out.partition("learned from")[0].splitlines() if len(text) > 12
    ]


def _keep(story: Story) -> None:
    stage, user = story.stage, story.user
    texts = ("--prompt", "-", "--chosen", _text(story, CHOSEN), "--rejected", _text(story, "No"))
    _watched(story, ("add", *texts), PLANTS["question"].encode())
    listed = json.loads(stage.must("memory", "ls", "--json", "-u", user).out)
    key = stage.prop("passphrase", PLANTS["passphrase"])
    stage.must("export", "kept.pocketpref", "--passphrase-file", key, "-u", user)
    stage.must("forget", listed[0]["id"], "--yes", "-u", user)
    stage.must("restore", "kept.pocketpref", "--passphrase-file", key, "-u", user)
    for command in (("profile",), ("status",), ("memory", "show", listed[-1]["id"])):
        stage.must(*command, "-u", user)


def _fail(story: Story) -> None:
    stage, user = story.stage, story.user
    wrong_key = stage.prop("wrong-key", f"pocketpref-key-1:{PLANTS['passphrase']}")
    wrong_word = stage.prop("wrong-word", "not " + PLANTS["passphrase"])
    broken = stage.prop("broken.jsonl", f'{{"prompt": "{PROMPT}", "chosen": \n[1, "{CHOSEN}"\n')
    same = ("--prompt", _text(story, PROMPT), "--chosen", _text(story, CHOSEN))
    cut = stage.prop("cut", (stage.work / "kept.pocketpref").read_bytes()[:-40])
    latin = stage.prop("latin", PROMPT.encode("utf-16"))
    for arguments in (
        ("add", *same, "--rejected", _text(story, CHOSEN)),
        ("import", broken, "--strict"),
        ("import", latin),
        ("restore", "kept.pocketpref", "--passphrase-file", wrong_word),
        ("restore", cut, "--passphrase-file", f"{stage.props}/passphrase"),
        ("memory", "show", PLANTS["prompt"]),
        ("forget", PLANTS["prompt"], "--yes"),
        ("personalize", f"@{PLANTS['prompt']}"),
        ("personalize", f"@{latin}"),
        ("score", *same, "--rejected", "b", "--attributes", PLANTS["prompt"]),
        (PLANTS["prompt"], PLANTS["chosen"]),
    ):
        story.failures.append(stage.run(*arguments, "-u", user))
    story.failures.append(stage.run("profile", "-u", user, env={"POCKETPREF_KEY_FILE": wrong_key}))
    settings = stage.pocket / "config.toml"
    settings.write_text(f"user = {PLANTS['username']}", "utf-8")
    story.failures.append(stage.run("profile"))
    settings.unlink()


def _text(story: Story, text: str) -> str:
    """A text as ``@FILE``."""
    name = f"text-{len(list(story.stage.props.iterdir()))}"
    return "@" + story.stage.prop(name, text)


def _watched(story: Story, arguments: tuple[str, ...], stdin: bytes) -> Done:
    """Run a command, and note the command lines of its processes while it waits for its input."""
    process = story.stage.start(*arguments, "-u", story.user)
    first = b""
    if arguments[0] == "chat":
        first = process.stderr.readline() if process.stderr else b""
    else:
        _wait_for_reading(process)
    top = psutil.Process(process.pid)
    story.processes += [" ".join(p.cmdline()) for p in (top, *top.children(recursive=True))]
    out, err = process.communicate(stdin, timeout=300)
    done = Done(arguments, process.returncode, out.decode(), (first + err).decode())
    assert done.code == 0, done.err
    story.stage.done.append(done)
    return done


def _wait_for_reading(process: subprocess.Popen[bytes]) -> None:
    """Until the program has imported its parts; it cannot end before its input does."""
    try:
        process.wait(1.5)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError("the program did not wait for its input")
