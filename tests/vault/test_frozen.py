"""What this format's first files hold is read by every later version.

The files were written once, by `python -m tests.vault.test_frozen FOLDER`, and never change; a new
format gets files of its own beside them.
"""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pocketpref.records import Feedback, Pair
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto.key_stores import Argon2Cost, KeyFile, Passphrase
from tests.vault.making import learned

FROZEN = Path(__file__).with_name("frozen")
WORDS = Passphrase(lambda: "correct horse", Argon2Cost(memory_kib=64, passes=1, lanes=1))


def write(folder: Path) -> None:
    """Make the files of the present format."""
    folder.mkdir(parents=True)
    key = KeyFile.make(folder / "vault.key")
    with Vault.create(folder / "vault.db", key, anchor=folder) as vault:
        for user in ("ada", "Zoë"):
            store = vault.store(user)
            ids = store.add_many(
                Feedback(
                    Pair(f"Why {n}?", f"Because {user} asked.", "No reason. ☂"),
                    created=datetime(2026, 11, 20, 12, n, tzinfo=UTC),
                    meta={"number": n},
                )
                for n in range(3)
            )
            store.put_learned(learned(ids[0], names=("Concise", "Formal")))
        # One user's data key is just being exchanged.
        _begin_rotation(vault, "ada")
        content = {user: shown(vault, user) for user in vault.users()}
        archive.export_user(vault.store("ada"), folder / "ada.pocketpref", WORDS)
    (folder / "content.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


class _EndedError(Exception):
    pass


def _begin_rotation(vault: Vault, user: str) -> None:
    from pocketpref.vault.crypto import rotation

    def end(done: int, of: int) -> None:
        raise _EndedError

    batch, rotation._BATCH = rotation._BATCH, 2
    try:
        vault.rotate_data_key(user, end)
    except _EndedError:
        pass
    finally:
        rotation._BATCH = batch


def shown(vault: Vault, user: str) -> list[dict[str, Any]]:
    """Everything about one user, as JSON knows it."""
    store = vault.store(user)
    lessons = {entry.memory_id: entry for entry in store.learned("recipe-1")}
    return [
        {
            "id": memory.id,
            "pair": [memory.pair.prompt, memory.pair.chosen, memory.pair.rejected],
            "created": memory.created.isoformat(),
            "origin": memory.origin,
            "meta": dict(memory.meta),
            "attributes": list(lessons[memory.id].attributes) if memory.id in lessons else None,
            "vector": lessons[memory.id].vector.tolist() if memory.id in lessons else None,
        }
        for memory in store.memories()
    ]


@pytest.fixture(params=sorted(path.name for path in FROZEN.iterdir()))
def frozen(request, tmp_path) -> Path:
    return Path(shutil.copytree(FROZEN / request.param, tmp_path / "frozen"))


def test_a_vault_written_then_is_read_now(frozen):
    content = json.loads((frozen / "content.json").read_text("utf-8"))
    with Vault.open(frozen / "vault.db", KeyFile(frozen / "vault.key"), anchor=frozen) as vault:
        assert {user: shown(vault, user) for user in vault.users()} == content
        assert vault.rotate_data_key("ada"), "what was begun then is ended now"
        assert {user: shown(vault, user) for user in vault.users()} == content


def test_an_archive_written_then_is_restored_now(frozen, vault):
    content = json.loads((frozen / "content.json").read_text("utf-8"))
    assert archive.restore(vault, frozen / "ada.pocketpref", WORDS).added == 3
    assert shown(vault, "ada") == content["ada"]


if __name__ == "__main__":
    write(Path(sys.argv[1]))
