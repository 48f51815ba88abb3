from __future__ import annotations

from urllib.parse import unquote

from batch_worker.metadata import MAX_BYTES, encode_value, object_metadata
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT)
def test_value_is_ascii_and_comes_back(value: str):
    encoded = encode_value(value)
    assert encoded.isascii()
    assert encoded.isprintable()
    assert encoded == encoded.strip()
    assert unquote(encoded) == value


@given(st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.none()), max_size=30))
def test_all_fits_on_an_object(pairs: dict[str, object]):
    fits, _ = object_metadata(pairs)
    assert sum(len(name) + len(value) for name, value in fits.items()) <= MAX_BYTES
    assert all(name.isascii() and name == name.lower() and name.strip("-") for name in fits)


def test_what_does_not_fit_is_named_and_the_rest_kept():
    fits, left_out = object_metadata({"first": "x" * 2000}, {"long": "x" * 100, "duration_s": 5})
    assert set(fits) == {"first", "duration-s"}
    assert left_out == ["long"]


def test_earlier_groups_win():
    assert object_metadata({"job_id": "real"}, {"job-id": "other"}) == ({"job-id": "real"}, [])
