"""add, memory, forget and import."""

import json


def test_add_prints_the_id_and_the_pair_is_there(desk, pairs_of):
    result = desk.run("add", "--prompt", "p", "--chosen", "a", "--rejected", "b")
    assert result.code == 0
    with desk.open() as pocket:
        assert [m.id for m in pocket.memories()] == [result.out.strip()]
        assert pairs_of(pocket) == [("p", "a", "b")]


def test_texts_come_from_standard_input_and_files(desk, tmp_path, pairs_of):
    (tmp_path / "a.txt").write_bytes("\ufeffgrüne\r\nÄpfel\n".encode())
    result = desk.run(
        *("add", "--prompt", "-", "--chosen", f"@{tmp_path / 'a.txt'}", "--rejected", "@@home"),
        stdin="from\nstdin\n",
    )
    assert result.code == 0
    with desk.open() as pocket:
        assert pairs_of(pocket) == [("from\nstdin", "grüne\nÄpfel", "@home")]


def test_standard_input_serves_one_argument_only(desk):
    result = desk.run("add", "--prompt", "-", "--chosen", "-", "--rejected", "b", stdin="x")
    assert result.code == 2
    assert "one argument only" in result.err


def test_each_user_has_memories_of_their_own(desk):
    desk.teach(user="ada")
    assert desk.run("memory", "ls", "--json", "-u", "bob").out.strip() == "[]"
    assert len(json.loads(desk.run("memory", "ls", "--json", "-u", "ada").out)) == 1


def test_listing_shows_the_newest_first_and_counts(desk):
    first, second = desk.teach("What is tea?"), desk.teach("What is coffee?")
    result = desk.run("memory", "ls")
    assert result.out.index(second) < result.out.index(first)
    assert "What is tea?" in result.out
    assert "2 choices remembered, 2 learned" in result.err
    assert [m["id"] for m in json.loads(desk.run("memory", "ls", "-n", "1", "--json").out)] == [
        second
    ]


def test_show_prints_the_whole_pair_and_what_it_taught(desk):
    memory_id = desk.teach()
    result = desk.run("memory", "show", memory_id)
    assert "Is tea better than coffee?" in result.out
    assert "learned from it: Concise" in result.out
    shown = json.loads(desk.run("memory", "show", memory_id, "--json").out)
    assert (shown["chosen"], shown["attributes"]) == ("Yes.", ["Concise"])


def test_history_of_a_prompt_is_in_order_of_time(desk):
    old, other, new = desk.teach("tea?"), desk.teach("coffee?"), desk.teach("tea?")
    listed = json.loads(desk.run("memory", "history", new, "--json").out)
    assert [m["id"] for m in listed] == [old, new]
    everything = json.loads(desk.run("memory", "history", "--json").out)
    assert [m["id"] for m in everything] == [old, other, new]


def test_history_marks_the_one_choice_of_a_prompt_that_is_in_force(desk):
    ids = [desk.teach("tea?"), desk.teach("coffee?"), desk.teach("tea?")]
    assert desk.run("learn").code == 0
    marked = {
        m["id"] for m in json.loads(desk.run("memory", "history", "--json").out) if m["in_force"]
    }
    assert ids[1] in marked
    assert len(marked & {ids[0], ids[2]}) == 1
    assert desk.run("memory", "history").out.count(" *") == 2


def test_forget_asks_first(desk):
    memory_id = desk.teach()
    declined = desk.run("forget", memory_id, stdin="n\n")
    assert (declined.code, "nothing was changed" in declined.err) == (1, True)
    silent = desk.run("forget", memory_id)
    assert (silent.code, "--yes" in silent.err) == (1, True)
    assert desk.run("forget", memory_id, stdin="y\n").code == 0
    assert desk.run("memory", "show", memory_id).code == 1


def test_dry_run_changes_nothing(desk):
    memory_id = desk.teach()
    result = desk.run("forget", memory_id, "--dry-run")
    assert result.out == "would forget 1 choice and what was learned from 1\n"
    assert desk.run("forget", "--all", "--dry-run").out.startswith("would forget all 1 choice")
    assert desk.run("memory", "show", memory_id).code == 0


def test_forgetting_everything_takes_a_typed_word(desk):
    desk.teach()
    assert desk.run("forget", "--all", stdin="yes\n").code == 1
    assert desk.run("forget", "--all", stdin="forget\n").code == 0
    assert desk.run("memory", "ls", "--json").out.strip() == "[]"
    assert desk.run("forget", "--all", "--yes").code == 1, "nothing is left to forget"


def test_forgetting_is_proved_on_request(desk):
    memory_id = desk.teach("Which trees bear fruit in the shade?")
    done = desk.run("forget", memory_id, "--yes", "--verify")
    assert (done.code, done.err) == (0, "")
    assert "verified: none of" in done.out
    desk.teach("Which trees bear fruit in the shade?")
    (desk.home / "left.txt").write_text("Which trees bear fruit in the shade?")
    found = desk.run("forget", "--all", "--yes", "--verify", "--json")
    assert found.code == 1
    assert json.loads(found.out)["verified"]["found"] == [str(desk.home / "left.txt")]
    assert "left.txt" in found.err


def test_forget_takes_ids_or_all_but_not_both(desk):
    assert desk.run("forget").code == 2
    assert desk.run("forget", "abc", "--all").code == 2


ROWS = [
    {"user": "ada", "prompt": "p1", "chosen": "a", "rejected": "b"},
    {"prompt": "p2", "chosen": "a", "rejected": "b"},
    {"user": "bob", "prompt": "p3", "chosen": "a", "rejected": "b"},
]


def _file(folder, rows, extra=""):
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + extra)
    return str(path)


def test_import_files_each_row_under_its_own_user(desk, tmp_path, pairs_of):
    result = desk.run("import", _file(tmp_path, ROWS), "-u", "carl")
    assert result.code == 0
    for user, prompt in (("ada", "p1"), ("carl", "p2"), ("bob", "p3")):
        with desk.open(user) as pocket:
            assert pairs_of(pocket) == [(prompt, "a", "b")]
        assert f"{user}: imported 1 choice" in result.out


def test_import_as_one_user(desk, tmp_path):
    assert desk.run("import", _file(tmp_path, ROWS), "--as", "dora").code == 0
    with desk.open("dora") as pocket:
        assert pocket.counts().memories == 3


def test_import_again_adds_nothing(desk, tmp_path):
    desk.run("import", _file(tmp_path, ROWS))
    assert "imported 0 choices, 1 known already" in desk.run("import", _file(tmp_path, ROWS)).out


def test_import_reads_standard_input(desk):
    row = json.dumps(ROWS[1])
    assert desk.run("import", "-", "--format", "jsonl", stdin=row).code == 0
    assert desk.run("memory", "ls", "--json").out.count('"p2"') == 1


def test_bad_rows_are_named_and_skipped_or_stop_everything(desk, tmp_path):
    file = _file(
        tmp_path, ROWS, 'nonsense SECRET\n{"prompt": "p", "chosen": "", "rejected": "x"}\n'
    )
    strict = desk.run("import", file, "--strict")
    assert (strict.code, "line 4" in strict.err, "line 5" in strict.err) == (1, True, True)
    assert not (desk.home / "vault.db").exists()
    lenient = desk.run("import", file)
    assert (lenient.code, "line 4" in lenient.err) == (0, True)
    assert "SECRET" not in strict.err + lenient.err
    with desk.open("ada") as pocket:
        assert pocket.counts().memories == 1


def test_import_dry_run_adds_nothing(desk, tmp_path):
    result = desk.run("import", _file(tmp_path, ROWS), "--dry-run")
    assert "ada: would import 1 choice" in result.out
    assert not desk.home.exists(), "not even an empty vault"
    with desk.open("ada") as pocket:
        pocket.add("p1", "a", "b")
    again = desk.run("import", _file(tmp_path, ROWS), "--dry-run", "-u", "ada")
    assert "ada: would import 0 choices, 1 known already" in again.out
    assert "ada: would import 1 choice\n" in again.out
    with desk.open("ada") as pocket:
        assert pocket.counts().memories == 1


def test_a_file_without_pairs_is_an_error(desk, tmp_path):
    result = desk.run("import", _file(tmp_path, []))
    assert (result.code, "pocketpref: error:" in result.err) == (1, True)
