"""The ids of a real engine are well formed, and no two are alike."""

import uuid

from batch_engine.local.engine.random_ids import RANDOM_BYTES, RandomIds


def test_uuids_are_random_ones_and_all_different():
    ids = RandomIds()
    made = [ids.uuid() for _ in range(RANDOM_BYTES)]
    assert len(set(made)) == len(made)
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
    assert {text[19] for text in made} == set("89ab")


def test_digits_are_as_many_as_were_asked_for_and_used_once():
    ids = RandomIds()
    lengths = [17, 32, 1, 2 * RANDOM_BYTES, 3 * RANDOM_BYTES, 32]
    made = [ids.hex(length) for length in lengths]
    assert [len(digits) for digits in made] == lengths
    assert all(set(digits) <= set("0123456789abcdef") for digits in made)
    assert made[1] != made[-1]
    text = "".join(RandomIds().hex(64) for _ in range(100))
    assert len({text[at : at + 32] for at in range(0, len(text), 32)}) == 200
