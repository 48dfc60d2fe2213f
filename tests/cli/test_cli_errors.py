"""Exit codes, error messages, and what must never stand in them."""

import json
import signal
import subprocess
import sys
import time

import click
import pytest

from pocketpref.cli.context import App
from pocketpref.cli.main import cli
from pocketpref.errors import StorageError

SECRET = "my-diagnosis-is-X17"

# Every way to get a command line wrong that has come to mind, with a private text in it.
MISUSES = [
    (SECRET,),
    ("chat", f"--{SECRET}"),
    ("chat", f"-x{SECRET}"),
    ("chat", SECRET),
    ("chat", "-o", "seed", SECRET),
    ("chat", "-o", SECRET, "1"),
    ("add", "--prompt", SECRET),
    ("add", f"--prompt={SECRET}", "--chosen", SECRET, "--rejected"),
    ("add", "--prompt", "-", "--chosen", "-", "--rejected", SECRET),
    ("personalize",),
    ("personalize", SECRET, SECRET),
    ("personalize", f"@/{SECRET}"),
    ("personalize", f"@{SECRET}\0"),
    ("personalize", f"--json={SECRET}", "x"),
    ("learn", "--budget", SECRET),
    ("score", "--prompt", SECRET, "--chosen", "a", "--rejected", "b", "--wording", SECRET),
    ("import", SECRET),
    ("import", "/dev/null", "--format", SECRET),
    ("memory", SECRET),
    ("memory", "ls", "--limit", SECRET),
    ("keys", "set", "--key-file"),
    ("forget", SECRET, "--all"),
    ("restore", SECRET),
    ("learn", "--budget", "-1"),
]

# Command lines that can be read, but not carried out.
FAILURES = [
    ("personalize", " "),
    ("add", "--prompt", SECRET, "--chosen", SECRET, "--rejected", SECRET),
    ("add", "--prompt", SECRET, "--chosen", " ", "--rejected", SECRET),
    ("add", "--prompt", SECRET, "--chosen", "a", "--rejected", SECRET + "x" * 1_000_001),
    ("score", "--prompt", SECRET, "--chosen", "a", "--rejected", "b", "--attributes", SECRET),
    ("memory", "show", SECRET),
    ("memory", "history", SECRET),
    ("forget", SECRET, "--yes"),
    ("add", "--prompt", SECRET, "--chosen", "a", "--rejected", "b", "-u", SECRET * 1000),
]


@pytest.mark.parametrize("arguments", MISUSES, ids=lambda a: " ".join(a)[:40].replace("\0", ""))
def test_a_wrong_command_line_is_explained_without_quoting_it(desk, arguments):
    result = desk.run(*arguments, stdin=SECRET)
    assert result.code == 2
    assert SECRET not in result.out + result.err
    assert result.err.startswith("pocketpref: error: ") or result.err.startswith("Usage: ")
    assert "Traceback" not in result.err


@pytest.mark.parametrize("arguments", FAILURES, ids=lambda a: " ".join(a)[:40])
def test_a_failure_is_explained_without_quoting_texts(desk, arguments):
    result = desk.run(*arguments)
    assert result.code == 1
    assert result.err.startswith("pocketpref: error: ")
    assert SECRET not in result.out + result.err
    assert result.out == ""


def test_misspelled_commands_and_options_get_a_suggestion(desk):
    assert "did you mean learn?" in desk.run("lern").err
    assert "did you mean --budget?" in desk.run("learn", "--bugdet", "3").err


def test_an_error_has_one_line_and_a_hint_another(desk):
    lines = desk.run("add", "--prompt", "p", "--chosen", "a", "--rejected", "a").err.splitlines()
    assert [line.split(":")[1] for line in lines] == [" error", " hint"]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (
            StorageError("the disk is full", hint="make room"),
            1,
            "pocketpref: error: the disk is full",
        ),
        (KeyboardInterrupt(), 130, "pocketpref: stopped"),
        (OSError(28, "No space left on device", SECRET), 1, "No space left on device"),
        (RuntimeError(SECRET), 1, "pocketpref: error: unexpected RuntimeError at "),
        (
            UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "bad"),
            1,
            "unexpected UnicodeDecodeError",
        ),
    ],
)
def test_whatever_happens_inside_ends_in_words(desk, error, code, said):
    def fail(*_, **__):
        raise error

    result = desk.run("profile", app=App(desk.environ, fail))
    assert result.code == code
    assert said in result.err
    assert SECRET not in result.err
    assert "Traceback" not in result.err


def test_texts_that_are_no_unicode_are_refused(desk):
    latin = "caf\xe9".encode("latin-1")
    for arguments in (("personalize", "-"), ("personalize", "caf\udce9")):
        result = desk.run(*arguments, stdin=latin)
        assert (result.code, "no valid UTF-8" in result.err) == (2, True)


def test_a_text_without_end_is_refused_in_little_memory(desk):
    if sys.platform != "win32":
        result = desk.run("personalize", "@/dev/zero")
        assert (result.code, "1,000,000 characters" in result.err) == (2, True)


def test_a_broken_configuration_is_named(desk):
    desk.home.mkdir()
    (desk.home / "config.toml").write_text("colour = 'red'")
    result = desk.run("keys", "status")
    assert (result.code, "config.toml: colour" in result.err) == (1, True)


def test_without_arguments_it_shows_help(desk):
    result = desk.run()
    assert result.code == 2
    assert "Commands:" in result.err


# ---------------------------------------------------------------------------- documentation


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_the_commands_are_those_that_are_promised():
    assert {" ".join(path) for path, _ in commands()} == {
        *("state", "ask", "rank", "correct"),
        *("demo", "chat", "personalize", "add", "import", "learn", "profile", "forget", "score"),
        *("memory", "memory ls", "memory show", "memory history"),
        *("models", "models ls", "models show", "models default", "models pull", "models rm"),
        *("models prepare", "keys", "keys status", "keys set", "keys rotate"),
        *("export", "restore", "status", "doctor", "eval", "remote"),
        *("egress", "egress status", "egress allow", "egress revoke", "egress preview"),
        *("egress log", "egress verify", "egress key", "egress key set", "egress key remove"),
        *("summary", "summary show", "summary refresh", "summary edit", "summary state"),
        *("summary history", "serve", "open", "mcp", "mcp install", "mcp uninstall", "mcp entry"),
        *("mcp hosts", "adapters", "adapters list", "adapters check", "adapters ask"),
        *("service", "service install", "service remove", "service run", "completion"),
        "uninstall",
    }


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda v: str(v)[:40])
def test_every_command_is_documented_with_an_example_and_every_option_with_words(path, command):
    text = command.help or ""
    example = text.rpartition("Example: ")[2]
    assert f"pocketpref {' '.join(path)}" in example, "an example of this very command"
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{param.opts} of {path} needs words"


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda v: str(v)[:40])
def test_help_works_and_examples_parse(desk, path, command):
    result = desk.run(*path, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: pocketpref {' '.join(path)}")


@pytest.mark.parametrize(("path", "command"), list(commands()), ids=lambda v: str(v)[:40])
def test_every_command_on_memories_takes_user_and_model(path, command):
    # `mcp` itself is one of them; its subcommands, like those left out here, touch no memories.
    if isinstance(command, click.Group) or path[0] in (
        *("models", "keys", "demo", "mcp", "completion", "uninstall"),
    ):
        return
    if path in (("adapters", "check"), ("service", "remove")):
        return
    options = {opt for param in command.params for opt in param.opts}
    assert {"-u", "--user", "-m", "--model"} <= options


# ------------------------------------------------------------------------ the program itself


def test_importing_the_command_line_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, pocketpref.cli; heavy = {'llama_cpp', 'onnxruntime', 'huggingface_hub', "
        "'numpy', 'rich', 'sqlite_utils', 'keyring', 'torch', 'httpx'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_program_adds_lists_and_exports(spawn):
    out, err = spawn("add", "--prompt", "-", "--chosen", "a", "--rejected", "b").communicate(b"pp")
    assert (err, len(out.decode().strip())) == (b"", 12)
    out, _ = spawn("memory", "ls", "--json").communicate()
    assert json.loads(out)[0]["prompt"] == "pp"


def test_a_narrow_encoding_is_no_reason_to_fail(spawn):
    env = {"PYTHONIOENCODING": "ascii"}
    pair = ("--chosen", "a", "--rejected", "b")
    spawn("add", "--prompt", "-", *pair).communicate("Grüße, 世界 ".encode() * 9)
    for arguments in (("memory", "ls"), ("memory", "ls", "--json"), ("profile",)):
        process = spawn(*arguments, env=env)
        out, err = process.communicate()
        assert (process.returncode, b"error" in err) == (0, False)
        if "--json" in arguments:
            assert json.loads(out)[0]["prompt"].startswith("Grüße, 世界")


def test_a_closed_pipe_is_met_quietly(spawn):
    spawn("add", "--prompt", "p" * 200, "--chosen", "a", "--rejected", "b").communicate()
    for arguments in (("memory", "ls", "--json"), ("memory", "show", "--help")):
        process = spawn(*arguments)
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(30) in (0, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_ends_it_calmly(spawn):
    process = spawn("chat")
    assert b"Chatting with" in process.stderr.readline()
    process.stdin.write(b"/why\n")
    process.stdin.flush()
    while b"no answer yet" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    out, err = process.communicate(b"exit\n", timeout=30)
    assert (process.returncode, out) == (0, b"")
    assert b"Ctrl-D to leave" in err
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_while_a_text_is_awaited_is_exit_130(spawn):
    process = spawn("personalize", "-")
    # More than a pipe holds: once it is written the program is reading, and waits for the rest.
    process.stdin.write(b"a" * 2**18)
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"pocketpref: stopped" in err
    assert b"Traceback" not in err


def test_without_any_key_the_program_says_so_and_stops(spawn):
    env = {
        "POCKETPREF_KEY_FILE": "",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    process = spawn("add", "--prompt", "p", "--chosen", "a", "--rejected", SECRET, env=env)
    out, err = process.communicate()
    assert process.returncode == 1
    assert out == b""
    assert err.startswith(b"pocketpref: error: ")
    assert b"keys set --passphrase" in err or b"POCKETPREF_KEY_FILE" in err
    assert SECRET.encode() not in err


@pytest.mark.parametrize(
    "content",
    [b"", b"short", b"\xff\xfe" * 40, b"two words " * 8, b"x" * 40 + b"\0", b"x" * 100_000],
    ids=["empty", "short", "no text", "words", "zero", "long"],
)
def test_a_damaged_token_is_named_with_what_to_do(desk, content):
    desk.home.mkdir()
    (desk.home / "server-token").write_bytes(content)
    result = desk.run("serve", "--port", "0")
    assert result.code == 1
    assert "server-token holds no token" in result.err
    assert "hint: delete it" in result.err
    assert (desk.home / "server-token").read_bytes() == content
