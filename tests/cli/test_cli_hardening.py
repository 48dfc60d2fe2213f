"""The program's own process: no dump of its memory, no secret where other programs can list it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from pocketpref.bootstrap import key_source
from pocketpref.cli.main import cli
from pocketpref.config import Config
from pocketpref.errors import ConfigError, KeyMissingError
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile, Passphrase
from tests.cores import PERMIT, leaves_core_files
from tests.vault.making import QUICK

ROOT = Path(__file__).resolve().parents[2]
WORDS = "Grüße, horse battery 77"

posix = pytest.mark.skipif(os.name == "nt", reason="no such signals and limits there")
linux = pytest.mark.skipif(sys.platform != "linux", reason="seen through /proc")

# The program, in a process that may leave core files until it forbids them itself.
PROGRAM = f"{PERMIT}\nimport sys\nfrom pocketpref.cli import main\nsys.exit(main())"

# ------------------------------------------------------------------------------------ core dumps


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program in its own folder, waiting for a text that does not come."""
    folder = tmp_path / "work"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "personalize", "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end
        time.sleep(0.02)


def core_limit(number: int) -> list[str]:
    lines = Path(f"/proc/{number}/limits").read_text().splitlines()
    return next(line for line in lines if line.startswith("Max core file size")).split()[4:6]


@linux
def test_the_program_forbids_itself_core_files_for_good(waiting):
    until(lambda: core_limit(waiting.pid) == ["0", "0"], waiting)


@linux
def test_the_program_crashes_without_leaving_its_memory_behind(waiting, tmp_path):
    if not leaves_core_files(tmp_path):
        pytest.skip("here no program leaves a core file in its working folder")
    until(lambda: core_limit(waiting.pid) == ["0", "0"], waiting)
    waiting.send_signal(signal.SIGABRT)
    assert waiting.wait(30) == -signal.SIGABRT
    assert list((tmp_path / "work").iterdir()) == []


@linux
def test_other_programs_of_the_user_cannot_attach_to_it():
    """Not dumpable: nor does the kernel pipe its memory to a crash reporter, whatever the limit."""
    code = """
import ctypes
from pocketpref.cli.context import no_core_dumps
no_core_dumps()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


@posix
def test_a_program_that_it_starts_leaves_no_core_file_either(tmp_path):
    """Such as the editor, which has a private text in its memory, too."""
    code = f"""{PERMIT}
from pocketpref.cli.context import no_core_dumps
import subprocess, sys
no_core_dumps()
subprocess.run([sys.executable, "-c", "import os; os.abort()"])
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


@linux
def test_the_library_leaves_its_host_as_it_is():
    """A program that calls the command line within itself may be traced and leave core files."""
    code = """
import ctypes, resource
before = resource.getrlimit(resource.RLIMIT_CORE)
import pocketpref.cli
pocketpref.cli.main(["keys", "status"])
print(before == resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True 1"


# ------------------------------------------------------- a passphrase from a descriptor


def handed_in(text: str | bytes) -> int:
    """The reading end of a pipe that holds a text, as a shell's ``3<`` hands one in."""
    reading, writing = os.pipe()
    os.write(writing, text.encode() if isinstance(text, str) else text)
    os.close(writing)
    os.set_inheritable(reading, True)
    return reading


@pytest.fixture(autouse=True)
def nothing_read_before(monkeypatch):
    """Numbers of descriptors come again within one process of tests."""
    monkeypatch.setattr(key_source, "_read_already", {})


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


@pytest.fixture
def sealed(tmp_path) -> Path:
    """A vault that WORDS opens."""
    path = tmp_path / "vault.db"
    Vault.create(path, Passphrase(lambda: WORDS, QUICK)).close()
    return path


def opens(path: Path, number: int, config: Config | None = None) -> None:
    environ = {"POCKETPREF_PASSPHRASE_FD": str(number)}
    Vault.open(path, key_source.choose(config or Config(), path, None, environ)).close()


def test_a_descriptor_opens_a_vault_as_often_as_the_process_needs_it(sealed):
    number = handed_in(f"{WORDS}\nlogin: ada\n")
    opens(sealed, number)
    assert not is_open(number), "closed, so that no program started later inherits it"
    opens(sealed, number)


def test_a_descriptor_comes_before_a_file_and_a_person(sealed, tmp_path):
    (tmp_path / "wrong").write_text("wrong")
    opens(sealed, handed_in(WORDS), Config(passphrase_file=tmp_path / "wrong"))
    environ = {"POCKETPREF_PASSPHRASE_FD": str(handed_in(WORDS))}
    Vault.open(sealed, key_source.choose(Config(), sealed, lambda: "wrong", environ)).close()


def test_a_descriptor_has_a_new_vault_kept_by_a_passphrase(tmp_path):
    environ = {"POCKETPREF_PASSPHRASE_FD": "3"}
    assert key_source.choose(Config(), tmp_path / "v", None, environ).kind == "passphrase"


def test_a_descriptor_does_not_change_what_else_was_chosen(tmp_path):
    key = KeyFile.make(tmp_path / "key")
    Vault.create(tmp_path / "v", key).close()
    config = Config(key_custody="key-file", key_file=key.path)
    environ = {"POCKETPREF_PASSPHRASE_FD": "3"}
    assert key_source.choose(config, tmp_path / "v", None, environ).kind == "key-file"


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"\nsecond line", b"\xff\xfe planted", b"x" * 5000],
    ids=["nothing", "an empty line", "an empty first line", "no UTF-8", "a line too long"],
)
@pytest.mark.parametrize("way", ["descriptor", "file"])
def test_a_passphrase_that_cannot_be_read_is_refused_in_words(sealed, tmp_path, content, way):
    if way == "descriptor":
        config, environ = Config(), {"POCKETPREF_PASSPHRASE_FD": str(handed_in(content))}
    else:
        (tmp_path / "words").write_bytes(content)
        config, environ = Config(passphrase_file=tmp_path / "words"), {}
    with pytest.raises(KeyMissingError, match=r"cannot be read|is empty") as caught:
        Vault.open(sealed, key_source.choose(config, sealed, None, environ))
    assert "planted" not in str(caught.value) + repr(caught.value.__context__)
    assert caught.value.hint


def test_a_file_without_end_is_no_passphrase(sealed):
    if sys.platform == "win32":
        pytest.skip("no /dev/zero there")
    with pytest.raises(KeyMissingError, match="cannot be read"):
        Vault.open(sealed, key_source.choose(Config(passphrase_file=Path("/dev/zero")), sealed))


def test_the_longest_passphrase_is_read():
    number = handed_in("x" * 4096)
    assert key_source.from_descriptor(number) == "x" * 4096


def test_a_descriptor_that_nobody_handed_in_is_neither_read_nor_closed(sealed, tmp_path):
    (tmp_path / "ours").write_text(WORDS)
    with (tmp_path / "ours").open() as file:
        with pytest.raises(KeyMissingError, match="cannot be read"):
            opens(sealed, file.fileno())
        assert file.read() == WORDS
    with pytest.raises(KeyMissingError, match="cannot be read"):
        opens(sealed, 999_999)


@pytest.mark.parametrize("wrong", ["0", "1", "2", "-3", "3.0", "٣", WORDS, "9" * 5000, " "])
def test_what_is_no_descriptor_is_refused_without_quoting_it(tmp_path, wrong):
    with pytest.raises(ConfigError, match="3 or above") as caught:
        key_source.choose(Config(), tmp_path / "v", None, {"POCKETPREF_PASSPHRASE_FD": wrong})
    assert WORDS not in str(caught.value)


@posix
def test_the_shell_hands_a_passphrase_in(tmp_path):
    """As docs/keys.md says, with the real program and a real shell; nothing else knows it."""
    (tmp_path / "words").write_text(f"{WORDS}\n")
    environ = {
        **os.environ,
        "POCKETPREF_PASSPHRASE_FD": "3",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "PROGRAM": sys.executable,
        "WORDS": str(tmp_path / "words"),
    }
    for command in ("add --prompt p --chosen a --rejected b", "memory ls --json"):
        line = f'"$PROGRAM" -m pocketpref {command} 3< "$WORDS"'
        done = subprocess.run(
            ["/bin/sh", "-c", line], cwd=ROOT, env=environ, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
    assert b'"prompt": "p"' in done.stdout
    vault = Path(os.environ["POCKETPREF_HOME"]) / "vault.db"
    assert Vault.custody(vault) == "passphrase"
    Vault.open(vault, Passphrase(lambda: WORDS)).close()


# ------------------------------------------------ nothing secret in arguments or variables


def options(group: click.Group = cli) -> Iterator[tuple[str, click.Parameter]]:
    for name, command in group.commands.items():
        yield from ((name, param) for param in command.params)
        if isinstance(command, click.Group):
            yield from options(command)


def test_no_option_takes_a_secret_itself():
    """What has to do with one is a switch or a file's name: arguments can be listed by others."""
    about = [
        (name, param)
        for name, param in options()
        if re.search("pass|key|secret|password|token|pin", f"{param.name}")
    ]
    assert {param.name for _, param in about} >= {"passphrase_file", "key_file", "passphrase"}
    for name, param in about:
        is_switch = isinstance(param, click.Option) and param.is_flag
        assert is_switch or isinstance(param.type, click.Path), f"{name}: {param.opts}"


def test_no_variable_holds_a_secret_itself():
    """Variables name files and descriptors: their values can be listed by others, too."""
    sources = [path.read_text("utf-8") for path in (ROOT / "pocketpref").rglob("*.py")]
    written = {name for text in sources for name in re.findall(r"POCKETPREF_[A-Z_]*[A-Z]", text)}
    fields = {f"POCKETPREF_{name.upper()}" for name in Config.__dataclass_fields__}
    about = {name for name in written | fields if re.search("PASS|KEY|SECRET|TOKEN", name)}
    assert "POCKETPREF_PASSPHRASE_FD" in about
    assert {name.rpartition("_")[2] for name in about} == {"FILE", "FD", "CUSTODY"}
