"""The torture of a vault, at a small scale: nothing is lost, and what is wrong is noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketpref.vault import UserStore
from tools.torture import byte_flips, faults, forgeries, kills, leaks, power, writers
from tools.torture import vault as torture_vault
from tools.torture.layer import FAILED, Layer
from tools.torture.report import Row, totals
from tools.torture.scene import (
    AS_STORED,
    REFUSED,
    Content,
    Scene,
    WrongAnswerError,
    ending,
    fill,
    read,
)


def assert_well(rows: list[Row], least: int) -> None:
    assert [problem for row in rows for problem in row.problems] == []
    assert sum(row.tried for row in rows) >= least


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene.make(tmp_path / "scene")
    fill(scene, "ada", 4, known=2)
    return scene


def stored(scene: Scene) -> tuple[Content, ...]:
    with scene.open() as vault:
        return read(vault)


# ------------------------------------------------------------------------------- the parts


def test_kills_lose_nothing(tmp_path):
    rows = list(kills.kill_all(tmp_path, 2 * len(kills.parts()), seed=1, records=60))
    assert_well(rows, 10)
    assert {way for row in rows for way in row.ended} >= {"at a random moment"}


def test_failing_writes_lose_nothing(tmp_path):
    assert_well(list(faults.fail_all(tmp_path, 1, processes=2, records=30)), 9)


def test_a_loss_of_power_loses_nothing(tmp_path):
    assert_well(list(power.cut_all(tmp_path, 12, seed=1)), 12)


def test_flipped_bytes_are_refused_or_mean_nothing(tmp_path):
    rows = list(byte_flips.try_all(tmp_path, every=499, bits=False, processes=1))
    assert_well(rows, 100)
    assert all(row.ended[REFUSED] > 0 for row in rows)


def test_forgeries_are_refused(tmp_path):
    assert_well(list(forgeries.forge_all(tmp_path, every=9)), 60)


def test_nothing_leaks(tmp_path):
    assert_well(list(leaks.search_all(tmp_path, 4)), 500)


def test_writers_lose_nothing(tmp_path):
    assert_well(list(writers.write_all(tmp_path, 3)), 3 * writers.WRITERS + 3)


# ------------------------------------------------------------------------------- that it can fail


def test_a_record_that_is_not_there_is_noticed(scene, monkeypatch):
    """By the comparison that kills and failing writes are judged by."""
    with scene.open() as vault:
        served, _ = kills.serve(vault)
        vault.store("ada").forget([next(vault.store("ada").memories()).id])
        assert kills.serve(vault)[0] != served


def test_half_a_learned_entry_is_noticed(scene, monkeypatch):
    monkeypatch.setattr(kills, "vector", lambda text: [0.0] * 384)
    with scene.open() as vault, pytest.raises(WrongAnswerError):
        kills.serve(vault)


def test_a_change_that_is_served_is_noticed(scene, monkeypatch):
    before = stored(scene)
    assert ending(scene, before) == AS_STORED
    listed = UserStore.memories
    monkeypatch.setattr(UserStore, "memories", lambda self: list(listed(self))[1:])
    assert ending(scene, before).startswith("WRONG")


def test_an_error_without_a_name_is_noticed(scene, monkeypatch):
    def broken(*_: object) -> None:
        raise KeyError("planted")

    before = stored(scene)
    monkeypatch.setattr(UserStore, "counts", broken)
    assert ending(scene, before) == "NO NAME: KeyError"


def test_a_refusal_that_changes_the_file_is_noticed(scene, monkeypatch):
    content = scene.path.read_bytes()

    def refuses_and_writes(scene: Scene, *_: object, **_options: object) -> str:
        scene.path.write_bytes(b"")
        return REFUSED

    monkeypatch.setattr(byte_flips, "ending", refuses_and_writes)
    assert byte_flips._end(scene, content, ()).startswith("REFUSED, but")


def test_plain_text_is_found(tmp_path):
    (tmp_path / "file").write_bytes(b"..." + leaks.MARKER.encode("utf-16-le") + b"...")
    assert leaks.planted().find(tmp_path)


def test_the_layer_fails_a_write(scene):
    """In another process, for what lies under SQLite stays there."""
    row = Row("", "faults", "")
    layer = Layer.install()
    if layer is None:
        pytest.skip("SQLite's library is hidden here")
    layer.handler = lambda step: FAILED[step.kind]
    try:
        with pytest.raises(Exception, match=r"WRITE|FSYNC"):
            fill(scene, "bob", 1)
    finally:
        layer.handler = None
    assert row.tried == 0


# ------------------------------------------------------------------------------- the program


def test_the_table_adds_up_and_a_problem_ends_with_one(tmp_path, monkeypatch, capsys):
    good, bad = Row("a", "bytes", "byte flipped"), Row("b", "kills", "process killed: adding")
    good.well(REFUSED, 7)
    bad.well("at a random moment", 3)
    bad.badly("kill 2: planted", lost=1)
    assert totals([good, bad])["kills survived"] == 3
    monkeypatch.setattr(torture_vault, "run", lambda plan, only: [good, bad])
    assert torture_vault.main(["--json", str(tmp_path / "found.json")]) == 1
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert found["totals"]["bytes flipped"] == 7
    assert found["totals"]["records lost"] == 1
    shown = capsys.readouterr()
    assert "byte flipped" in shown.out
    assert "kill 2: planted" in shown.err
    monkeypatch.setattr(torture_vault, "run", lambda plan, only: [good])
    assert torture_vault.main(["--markdown"]) == 0
    assert "| byte flipped | 7 |" in capsys.readouterr().out


def test_a_part_is_chosen_by_its_name(tmp_path, capsys):
    assert torture_vault.main(["--only", "writers", "--scale", "0.002"]) == 0
    assert "records written side by side" in capsys.readouterr().out
