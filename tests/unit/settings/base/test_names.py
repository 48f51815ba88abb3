"""Names in the settings: what they may be, and the constructs that they become."""

import pytest

from batch_stack.settings.base.names import construct_id, did_you_mean, id_of_entry, is_name, known


@pytest.mark.parametrize("name", ["a", "my-job", "my_job", "a1-2", "x" * 40])
def test_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "A", "1a", "a--b", "a-", "-a", "a.b", "ä", "x" * 41])
def test_no_name(name: str) -> None:
    assert not is_name(name)


def test_entries_become_constructs() -> None:
    assert construct_id("my-big_job") == "MyBigJob"
    assert id_of_entry("tiers", "low-cost") == "LowCostTier"
    assert id_of_entry("compute", "spot") == "SpotCompute"
    with pytest.raises(KeyError):
        id_of_entry("storage", "bucket")


def test_messages_name_what_is_known() -> None:
    assert known(["a", "b"]) == "a, b"
    assert known([]) == "(none defined)"
    assert did_you_mean("stadnard", ["bulk", "standard"]) == " (did you mean standard?)"
    assert did_you_mean("x", ["bulk"]) == ""
