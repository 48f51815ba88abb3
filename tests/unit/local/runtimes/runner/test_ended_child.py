"""How the runner finds children that have ended, also where the system cannot look without reaping."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, sys, time
if sys.argv[1] == "without":
    del os.waitid
from batch_engine.local.runtimes.runner.main import ended_child
told = []
assert ended_child(told.append) is None, "no child at all"
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.close(write)
    os.read(read, 1)
    os._exit(7)
os.close(read)
assert ended_child(told.append) is None, "it is still running"
os.close(write)
deadline = time.monotonic() + 20
while (found := ended_child(told.append)) is None:
    assert time.monotonic() < deadline
assert (found[0], os.waitstatus_to_exitcode(found[1]), told) == (child, 7, [child]), (found, told)
assert ended_child(told.append) is None, "reaped"
"""


@pytest.mark.parametrize("waitid", ["with", "without"])
def test_a_child_is_found_once_it_has_ended(waitid):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, waitid], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
