"""What one attempt leaves exactly as it was, the next one gets; anything else is made afresh."""

import os

import pytest

from batch_engine.local.runtimes.runner.spares import MAX_SPARES, Spares


@pytest.fixture
def place(tmp_path):
    return lambda name: (str(tmp_path / name), str(tmp_path / f"{name}.log"))


def inode(path):
    return os.stat(path).st_ino


def test_an_untouched_folder_serves_again(place):
    spares = Spares()
    first, second = place("first"), place("second")
    spares.provide(*first)
    kept = inode(first[0])
    assert spares.keep_folder(first[0])
    spares.provide(*second)
    assert inode(second[0]) == kept
    assert os.listdir(second[0]) == ["tmp"]
    assert not os.path.exists(first[0])


@pytest.mark.parametrize(
    "leave_a_trace",
    [
        lambda folder: open(os.path.join(folder, "file"), "w").close(),
        lambda folder: open(os.path.join(folder, "tmp", "file"), "w").close(),
        lambda folder: os.rmdir(os.path.join(folder, "tmp")),
        lambda folder: os.chmod(folder, 0o700),
        lambda folder: os.chmod(os.path.join(folder, "tmp"), 0o1777),
    ],
    ids=["a file", "a file in tmp", "no tmp", "mode", "mode of tmp"],
)
def test_a_folder_with_a_trace_does_not(place, leave_a_trace):
    spares = Spares()
    first, second = place("first"), place("second")
    spares.provide(*first)
    leave_a_trace(first[0])
    assert not spares.keep_folder(first[0])
    spares.provide(*second)
    assert inode(second[0]) != inode(first[0])


def test_an_empty_log_serves_again(place):
    spares = Spares()
    first, second = place("first"), place("second")
    spares.provide(*first)
    open(first[1], "w").close()
    kept = inode(first[1])
    spares.keep_log(first[1])
    spares.provide(*second)
    assert inode(second[1]) == kept
    assert not os.path.exists(first[1])


def test_no_more_are_kept_than_are_of_use(place, tmp_path):
    spares = Spares()
    for number in range(MAX_SPARES + 1):
        folder, log = place(f"n{number}")
        os.makedirs(os.path.join(folder, "tmp"))
        open(log, "w").close()
    spares.provide(*place("looks"))
    kept = []
    for number in range(MAX_SPARES + 1):
        folder, log = place(f"n{number}")
        kept.append(spares.keep_folder(folder))
        spares.keep_log(log)
    assert kept == [True] * MAX_SPARES + [False]
    assert not os.path.exists(place(f"n{MAX_SPARES}")[1])
