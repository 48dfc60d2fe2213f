"""service, completion, uninstall: what is put into the system, and taken out of it."""

from __future__ import annotations

import json
import os
import plistlib
import shutil
import subprocess
import sys
import time
from configparser import RawConfigParser
from pathlib import Path
from xml.etree import ElementTree as ET

import psutil
import pytest

from pocketpref.integrations import mcp_clients, scheduler
from pocketpref.integrations.scheduler import BUSY, IdleWatch, Moment
from pocketpref.vault import Vault


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """Files for schedulers and assistants lie in the home of a person, not in that of ours."""
    folder = tmp_path / "person"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return folder


# ------------------------------------------------------------------------------ when not to work


def moments(*what):
    """Moments (clock, busy, own), one for each call."""
    found = iter(what)
    return lambda: Moment(*next(found))


def watch(*what, battery=False):
    return IdleWatch(moments(*what), lambda: battery, seconds=2.0)


CORES = psutil.cpu_count() or 1


def test_an_idle_machine_is_worked_on_and_a_busy_one_is_not():
    assert watch((0, 0, 0), (10, 0.1 * 10 * CORES, 0)).reason() == ""
    busy = watch((0, 0, 0), (10, 0.9 * 10 * CORES, 0)).reason()
    assert "90%" in busy


def test_what_we_take_ourselves_does_not_count():
    mine = (BUSY + 0.5) * 10 * CORES
    assert watch((0, 0, 0), (10, mine, mine)).reason() == ""


def test_a_moment_is_too_short_to_tell_and_is_measured_later():
    looked = watch((0, 0, 0), (1, CORES, 0), (4, 4 * CORES, 0))
    assert looked.reason() == ""
    assert "100%" in looked.reason()


def test_a_battery_that_is_emptied_is_left_alone():
    assert "battery" in watch((0, 0, 0), (10, 0, 0), battery=True).reason()


def test_other_programs_are_really_seen():
    code = "import time\nend = time.time() + 3\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as other:
        before, took = Moment.now(), psutil.Process(other.pid).cpu_times().user
        time.sleep(1.5)
        took = psutil.Process(other.pid).cpu_times().user - took
        share = Moment.now().others_since(before)
        other.kill()
    assert share > 0.5 * took / 1.5 / CORES > 0


@pytest.mark.parametrize(
    "broken", [None, lambda: None, "raises"], ids=["missing", "nothing", "raises"]
)
def test_where_nobody_can_tell_of_a_battery_there_is_none(monkeypatch, broken):
    def raises():
        raise OSError

    monkeypatch.setattr(
        scheduler.psutil, "sensors_battery", raises if broken == "raises" else broken, raising=False
    )
    assert scheduler.on_battery() is False


# ------------------------------------------------------------------------------ what is written

ODD = {"POCKETPREF_HOME": '/a "b" $c %d \\e'}


def unquoted(text):
    """What systemd makes of a line (systemd.syntax(7), systemd.service(5))."""
    words, rest = [], text.strip()
    while rest:
        assert rest[0] == '"'
        word, place = "", 1
        while rest[place] != '"':
            place += rest[place] == "\\"
            word += rest[place]
            place += 1
        words.append(word.replace("%%", "%"))
        rest = rest[place + 1 :].strip()
    return words


def test_the_systemd_unit_says_the_command_whatever_the_paths_hold():
    found = scheduler.service(ODD, ["--user", "a b"], system="linux")
    unit, timer = (content for _, content in sorted(found.files.items()))
    parsed = RawConfigParser(strict=False)
    parsed.optionxform = str
    parsed.read_string(unit)
    command = [word.replace("$$", "$") for word in unquoted(parsed["Service"]["ExecStart"])]
    assert command == [
        *(sys.executable, "-m", "pocketpref", "service", "run", "--user", "a b"),
    ]
    assert unquoted(parsed["Service"]["Environment"]) == [
        f"POCKETPREF_HOME={ODD['POCKETPREF_HOME']}"
    ]
    assert parsed["Unit"]["ConditionACPower"] == "true"
    assert "OnUnitInactiveSec=3600" in timer


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_has_nothing_to_say_about_the_units(tmp_path):
    found = scheduler.service(ODD, ["--user", "a b"], system="linux")
    paths = [tmp_path / path.name for path in found.files]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}

    def said():
        command = ["systemd-analyze", "verify", "--user", *map(str, paths)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    for path, content in zip(paths, found.files.values(), strict=True):
        path.write_text(content)
    assert said() == ""
    paths[0].write_text(paths[0].read_text().replace("Nice=19", "Nice=much"))
    assert "much" in said()  # it can say something


def test_the_launchd_agent_is_a_property_list():
    ((path, content),) = scheduler.service(ODD, ["--user", "a b"], system="darwin").files.items()
    parsed = plistlib.loads(content.encode())
    assert path.name == f"{parsed['Label']}.plist"
    assert parsed["ProgramArguments"][-2:] == ["--user", "a b"]
    assert parsed["EnvironmentVariables"] == ODD
    assert parsed["ProcessType"] == "Background"


def test_the_task_of_windows_is_for_an_idle_machine_on_power():
    environ = {"POCKETPREF_HOME": r"C:\Users\A & B"}
    ((_, content),) = scheduler.service(environ, [], system="win32").files.items()
    parsed = ET.fromstring(content.encode())
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    said = {name: parsed.findtext(f".//t:{name}", "", space) for name in ("RunOnlyIfIdle",)}
    assert said == {"RunOnlyIfIdle": "true"}
    assert parsed.findtext(".//t:DisallowStartIfOnBatteries", "", space) == "true"
    arguments = parsed.findtext(".//t:Arguments", "", space)
    assert r'set "POCKETPREF_HOME=C:\Users\A & B"&& ' in arguments
    assert "pocketpref service run" in arguments


ORDERED = {
    "TimeTrigger": ["Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit"],
    "Repetition": ["Interval", "Duration", "StopAtDurationEnd"],
}
"""Sequences of the Task Scheduler's schema (learn.microsoft.com/windows/win32/taskschd)."""
UNORDERED = {
    "Task": {"RegistrationInfo", "Triggers", "Settings", "Actions"},
    "Settings": {
        *("MultipleInstancesPolicy", "DisallowStartIfOnBatteries", "StopIfGoingOnBatteries"),
        *("IdleSettings", "RunOnlyIfIdle", "Hidden", "Priority"),
    },
    "IdleSettings": {"StopOnIdleEnd"},
    "Exec": {"Command", "Arguments"},
}


def test_the_task_of_windows_has_the_parts_of_its_schema_in_their_order():
    ((_, content),) = scheduler.service(ODD, [], system="win32").files.items()
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    seen = set()
    for element in ET.fromstring(content.encode()).iter():
        name = element.tag.removeprefix(space)
        parts = [part.tag.removeprefix(space) for part in element]
        seen.add(name)
        assert len(set(parts)) == len(parts)
        if name in ORDERED:
            assert parts == sorted(parts, key=ORDERED[name].index)
        if name in UNORDERED:
            assert set(parts) <= UNORDERED[name]
    assert {*ORDERED, *UNORDERED} <= seen


@pytest.mark.parametrize("verb", ["install", "remove"])
def test_a_dry_run_changes_nothing(desk, own_home, verb):
    assert desk.run("service", "install").code == 0
    before = {path: path.read_bytes() for path in own_home.rglob("*") if path.is_file()}
    assert before
    assert desk.run("service", verb, "--dry-run").code == 0
    assert {p: p.read_bytes() for p in own_home.rglob("*") if p.is_file()} == before


def test_the_service_is_installed_for_one_person_and_removed(desk, own_home):
    done = desk.run("service", "install", "-u", "ada")
    assert done.code == 0
    files = [path for path in own_home.rglob("*") if path.is_file()]
    assert any("ada" in path.read_text() for path in files)
    assert all(str(path) in done.out for path in files)
    assert "to begin: " in done.err
    gone = desk.run("service", "remove")
    assert "to end it: " in gone.err
    assert [path for path in own_home.rglob("*") if path.is_file()] == []
    assert desk.run("service", "remove").out == "nothing is installed\n"


# ------------------------------------------------------------------------------ what it calls


class Scripted:
    """A watch that says these reasons, one after the other, and then nothing."""

    def __init__(self, *reasons):
        self._reasons = list(reasons)

    def first(self):
        return self.reason()

    def reason(self):
        return self._reasons.pop(0) if self._reasons else ""


@pytest.fixture
def three(desk):
    with desk.open() as pocket:
        for number in range(3):
            pocket.add(f"Is number {number} good?", "Yes.", f"That depends on {number} things.")
    return desk


def learned(desk):
    with desk.open() as pocket:
        return pocket.counts().learned


def test_on_an_idle_machine_it_learns(three, monkeypatch):
    monkeypatch.setattr(scheduler, "IdleWatch", Scripted)
    assert three.run("service", "run").out == "learned from 3 choices\n"
    assert learned(three) == 3


def test_on_a_busy_machine_it_does_not_even_open_the_vault(three, monkeypatch):
    monkeypatch.setattr(scheduler, "IdleWatch", lambda: Scripted("the machine is busy"))
    app = three.app
    app.open_pocket = None
    done = three.run("service", "run", app=app)
    assert (done.code, done.out) == (0, "")
    assert "not now: the machine is busy" in done.err
    assert learned(three) == 0


def test_it_gives_way_and_keeps_what_was_learned(three, monkeypatch):
    class Later(Scripted):
        def reason(self):
            self.asked = getattr(self, "asked", 0) + 1
            with_one = learned(three) >= 1
            return "other programs take all" if with_one else ""

    monkeypatch.setattr(scheduler, "IdleWatch", Later)
    done = three.run("service", "run")
    assert done.code == 0
    assert "stopped: other programs take all" in done.err
    assert 1 <= learned(three) < 3
    assert done.out == f"learned from {learned(three)} choice\n"


# ------------------------------------------------------------------------------ completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_given_its_script(desk, shell):
    done = desk.run("completion", shell)
    assert done.code == 0
    assert "_POCKETPREF_COMPLETE" in done.out
    assert shell in done.err


def test_the_program_completes_commands_and_options(spawn):
    def completed(*words):
        env = {
            "_POCKETPREF_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        out, _ = spawn(env=env).communicate()
        return [line.partition(",")[2] for line in out.decode().splitlines()]

    assert completed("pocketpref", "egr") == ["egress"]
    assert "allow" in completed("pocketpref", "egress", "a")
    assert "--budget" in completed("pocketpref", "learn", "--b")


# ------------------------------------------------------------------------------ uninstall


@pytest.fixture
def used(desk, own_home):
    """Somebody who has used it: a vault, a cache, an assistant that is wired, a service."""
    desk.teach()
    desk.home.joinpath("cache").mkdir(exist_ok=True)
    desk.home.joinpath("cache", "measured.json").write_text("{}")
    desk.home.joinpath("server-token").write_text("x" * 40)
    desk.home.joinpath("config.toml").write_text('user = "default"\n')
    settings = own_home / ".cursor" / "mcp.json"
    settings.parent.mkdir()
    settings.write_text('{"mcpServers": {"other": {"command": "x"}}}')
    assert desk.run("mcp", "install", "cursor").code == 0
    assert desk.run("service", "install").code == 0
    return desk


def test_what_was_put_into_the_system_is_taken_out_and_the_memory_stays(used, own_home):
    done = used.run("uninstall", "--yes")
    assert done.code == 0
    settings = json.loads((own_home / ".cursor" / "mcp.json").read_text())
    assert settings == {"mcpServers": {"other": {"command": "x"}}}
    assert not (used.home / "cache").exists()
    assert not (used.home / "server-token").exists()
    assert [path.name for path in own_home.rglob("*") if path.is_file()] == ["mcp.json"]
    assert "--wipe deletes it, too" in done.err
    with used.open() as pocket:
        assert pocket.counts().memories == 1


def test_a_dry_run_of_it_changes_nothing(used, own_home):
    everything = [used.home, own_home]
    before = {p: p.read_bytes() for f in everything for p in f.rglob("*") if p.is_file()}
    done = used.run("uninstall", "--wipe", "--dry-run")
    assert done.code == 0
    assert str(used.home / "vault.db") in done.out
    assert mcp_clients.host("cursor").title in done.out
    assert {p: p.read_bytes() for f in everything for p in f.rglob("*") if p.is_file()} == before


def test_wiping_destroys_the_keys_before_the_file_is_deleted(used, tmp_path):
    kept = tmp_path / "kept.db"
    os.link(used.home / "vault.db", kept)  # what a disk keeps of a file that was deleted
    done = used.run("uninstall", "--wipe", "--yes")
    assert done.code == 0
    assert not (used.home / "vault.db").exists()
    assert not (used.home / "config.toml").exists()
    from pocketpref.vault.crypto.key_stores import KeyFile

    with Vault.open(kept, KeyFile(used.home / "key")) as vault:
        assert vault.users() == []


@pytest.mark.parametrize(("typed", "wiped"), [("wipe", True), ("", False), ("yes", False)])
def test_wiping_is_offered(used, typed, wiped):
    done = used.run("uninstall", stdin=f"y\n{typed}\n")
    assert done.code == 0
    assert "Type 'wipe' if so" in done.err
    assert (used.home / "vault.db").exists() is not wiped


def test_wiping_is_not_done_without_its_word(used):
    done = used.run("uninstall", "--wipe", stdin="yes\n")
    assert done.code == 1
    assert (used.home / "vault.db").exists()
    assert (used.home / "server-token").exists()


def test_a_vault_that_cannot_be_opened_is_wiped_all_the_same(used):
    Path(used.home / "key").unlink()
    done = used.run("uninstall", "--wipe", "--yes")
    assert done.code == 0
    assert "deleted as it is" in done.err
    assert not (used.home / "vault.db").exists()


def test_where_there_is_nothing_nothing_falls_over(desk):
    assert desk.run("uninstall", "--yes").code == 0
    assert desk.run("uninstall", "--wipe", "--yes").code == 0
