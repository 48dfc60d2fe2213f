"""What is sealed opens in its own place, with its own key, unchanged; and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.errors import TamperedError
from pocketpref.vault.crypto.sealing import Place, Sealer, derive_key, new_key, padded_size

PLACE = Place(b"0123456789abcdef", 1, "memory", "abcdefghjkmn", 7)

# Made by the first released version. Every later version must open it, whatever else it writes.
FROZEN_KEY = bytes(range(32))
FROZEN = bytes.fromhex(
    "018aa830a35d91e39279f29277399b4aef09d3d3f32213436609eb80640181519ad67ca7127cc0e4d3f3c0b8"
    "83358e4b1ef8116aade8d33fe276137a93a794b838e73f180227f7daa6a6e7cb04598812683c52e647933955"
    "3ebd0b6c4faddfada347ab712303075d71b493cf296727a97c0c2e5070c8fc2f8242054b20d6cdabe3e0ee66"
    "54acc5f1f7d601f88aa4fe1752cfb458f3148ff274b17b98cd42bc790648cef81e8e456a9164c60ed4b9f11e"
    "9845c3de6c1137a8da9595cf3d9e434f3f2ae709eb576321da51ff2bd6cbb826b0ac2c4290c9465a67472c0e"
    "ac09a545582b3cd8b9f76705708028f8b8742b128ea5b3ead858206989ce8c5a841413e554bb3f04ea6ac931"
    "b5df2f209773d5f6559aa1e5dc3351ce948e9479da"
)


@given(st.binary(max_size=5000))
def test_what_was_sealed_opens_unchanged(content):
    sealer = Sealer(FROZEN_KEY)
    assert sealer.open(sealer.seal(content, PLACE), PLACE) == content


def test_a_blob_of_the_first_version_still_opens():
    assert Sealer(FROZEN_KEY).open(FROZEN, PLACE) == b"sealed by the first version"


def test_keys_are_derived_as_in_the_first_version():
    expected = "51fb5c93d3a7750b72b845c07eebb8c687b823ab24cc6ba80dc34a307ae7cd9e"
    assert derive_key(FROZEN_KEY, "records", b"context").hex() == expected


@pytest.mark.parametrize(
    "other",
    [
        PLACE._replace(vault=b"another vault id"),
        PLACE._replace(user=2),
        PLACE._replace(kind="learned"),
        PLACE._replace(id="abcdefghjkmp"),
        PLACE._replace(seq=8),
        # The same letters, divided otherwise between kind and id.
        PLACE._replace(kind="memoryabc", id="defghjkmn"),
    ],
)
def test_a_blob_opens_in_no_other_place(other):
    sealer = Sealer(FROZEN_KEY)
    with pytest.raises(TamperedError):
        sealer.open(sealer.seal(b"content", PLACE), other)


def test_another_key_opens_nothing():
    with pytest.raises(TamperedError):
        Sealer(new_key()).open(FROZEN, PLACE)


def test_every_flipped_bit_is_noticed():
    sealer = Sealer(FROZEN_KEY)
    for place in range(len(FROZEN) * 8):
        flipped = bytearray(FROZEN)
        flipped[place // 8] ^= 1 << place % 8
        with pytest.raises(TamperedError):
            sealer.open(bytes(flipped), PLACE)


@pytest.mark.parametrize("length", [0, 1, 13, 29, 100, len(FROZEN) - 1])
def test_a_truncated_blob_is_noticed(length):
    with pytest.raises(TamperedError):
        Sealer(FROZEN_KEY).open(FROZEN[:length], PLACE)


@pytest.mark.parametrize("foreign", [None, 5, 2.5, "text"])
def test_what_is_no_blob_at_all_is_refused(foreign):
    with pytest.raises(TamperedError):
        Sealer(FROZEN_KEY).open(foreign, PLACE)


@pytest.mark.parametrize(
    "place",
    [PLACE._replace(seq=-1), PLACE._replace(id=b"bytes"), PLACE._replace(id="x" * 300)],
)
def test_a_row_that_was_never_ours_is_refused_by_name(place):
    with pytest.raises(TamperedError):
        Sealer(FROZEN_KEY).open(FROZEN, place)


def test_sealing_twice_gives_two_blobs():
    sealer = Sealer(FROZEN_KEY)
    assert sealer.seal(b"content", PLACE) != sealer.seal(b"content", PLACE)


@given(st.integers(min_value=0, max_value=2**40))
def test_padding_costs_at_most_an_eighth(size):
    padded = padded_size(size)
    assert max(size, 256) <= padded <= max(size, 256) * 1.125


def test_padding_leaves_few_sizes():
    """Up to 16 MiB there are 16 million true sizes and fewer than 400 padded ones."""
    sizes, size = set(), 0
    while size < 2**24:
        size = padded_size(size + 1)
        sizes.add(size)
    assert len(sizes) < 400


@given(st.integers(min_value=0, max_value=250), st.integers(min_value=0, max_value=250))
def test_short_contents_cannot_be_told_apart_by_size(one, other):
    sealer = Sealer(FROZEN_KEY)
    assert len(sealer.seal(bytes(one), PLACE)) == len(sealer.seal(bytes(other), PLACE))


def test_an_error_names_an_id_but_no_foreign_text():
    with pytest.raises(TamperedError, match="abcdefghjkmn"):
        Sealer(new_key()).open(FROZEN, PLACE)
    with pytest.raises(TamperedError) as caught:
        Sealer(new_key()).open(FROZEN, PLACE._replace(id="planted text"))
    assert "planted" not in str(caught.value)
