"""Places and settings."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from pocketpref.config import Config, Places
from pocketpref.errors import ConfigError


@pytest.fixture
def places(tmp_path):
    return Places.find({"POCKETPREF_HOME": str(tmp_path / "home")})


def write(places, text):
    places.config_file.parent.mkdir(parents=True, exist_ok=True)
    places.config_file.write_bytes(text if isinstance(text, bytes) else text.encode())


def test_one_variable_moves_everything_into_one_folder(places, tmp_path):
    home = tmp_path / "home"
    for place in (
        *(places.vault, places.models, places.cache, places.config_file, places.attributes),
    ):
        assert place.is_relative_to(home)
    assert not home.exists(), "finding places creates nothing"


def test_without_it_the_platform_says_where(tmp_path):
    places = Places.find({})
    assert places.vault.name == "vault.db"
    assert "pocketpref" in str(places.data)


def test_no_file_means_defaults(places):
    assert Config.load(places, {}) == Config()


def test_what_is_saved_is_loaded_again(places):
    config = Config(
        user="ada",
        model="starter",
        key_custody="key-file",
        key_file=Path("/k/key"),
        wording="names",
    )
    config.save(places)
    assert Config.load(places, {}) == config
    replace(config, model=None).save(places)
    assert "model" not in tomllib.loads(places.config_file.read_text())
    assert [p.name for p in places.config_file.parent.iterdir()] == ["config.toml"]


def test_variables_come_before_the_file(places):
    write(places, 'user = "ada"\nmodel = "one"\n')
    config = Config.load(places, {"POCKETPREF_MODEL": "two", "POCKETPREF_EMBEDDER": ""})
    assert (config.user, config.model, config.embedder) == ("ada", "two", None)


@pytest.mark.parametrize(
    ("variable", "custody"),
    [("POCKETPREF_KEY_FILE", "key-file"), ("POCKETPREF_PASSPHRASE_FILE", "passphrase")],
)
def test_a_key_variable_chooses_custody(places, variable, custody):
    write(places, 'key_custody = "keyring"\n')
    assert Config.load(places, {variable: "/somewhere"}).key_custody == custody


def test_two_key_variables_are_refused(places):
    with pytest.raises(ConfigError, match="both set"):
        Config.load(places, {"POCKETPREF_KEY_FILE": "/a", "POCKETPREF_PASSPHRASE_FILE": "/b"})


def test_a_relative_path_is_relative_to_the_file_it_stands_in(places, monkeypatch, tmp_path):
    write(places, 'key_file = "my.key"\n')
    assert Config.load(places, {}).key_file == places.config_file.parent / "my.key"
    monkeypatch.chdir(tmp_path)
    assert Config.load(places, {"POCKETPREF_KEY_FILE": "x"}).key_file == tmp_path / "x"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour = 'red'", "colour"),
        ("model = 3", "model"),
        ("user = ' '", "user"),
        ("wording = 'loud'", "wording"),
        ("key_custody = 'pocket'", "key_custody"),
        ("model = ", "TOML"),
        (b"user = '\xff'", "UTF-8"),
    ],
)
def test_what_cannot_be_used_is_named(places, text, named):
    write(places, text)
    with pytest.raises(ConfigError) as error:
        Config.load(places, {})
    assert named in error.value.message


def test_a_wrong_variable_is_named_but_not_its_value(places):
    with pytest.raises(ConfigError) as error:
        Config.load(places, {"POCKETPREF_WORDING": "SECRET"})
    assert "POCKETPREF_WORDING" in error.value.message
    assert "SECRET" not in str(error.value)


def test_a_configuration_that_cannot_be_written_is_an_error(places):
    write(places, "")
    blocked = replace(places, config_file=places.config_file / "below a file" / "config.toml")
    with pytest.raises(ConfigError, match="cannot be written"):
        Config().save(blocked)


def test_no_repr_names_the_person():
    assert "SECRET" not in repr(Config(user="SECRET"))
