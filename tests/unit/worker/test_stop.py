from __future__ import annotations

import os
import signal

import pytest
from batch_worker.stop import Interrupted

SWALLOWS_EXCEPTIONS = """
(task.output_dir / "a").touch()
try:
    task.log.info("working")
    time.sleep(120)
except Exception:
    pass
"""
SWALLOWS_EVERYTHING = SWALLOWS_EXCEPTIONS.replace("except Exception", "except BaseException")
A_THREAD_SEES_THE_FLAG = """
import threading
(task.output_dir / "a").touch()
def loop():
    while not task.stopping:
        time.sleep(0.01)
thread = threading.Thread(target=loop)
thread.start()
task.log.info("working")
try:
    thread.join()
finally:
    thread.join()
    task.log.info("thread ended")
"""
WAITS_FOR_A_CHILD = """
import subprocess
(task.output_dir / "a").touch()
child = subprocess.Popen(["sleep", "120"])
try:
    task.log.info("working")
    child.wait()
finally:
    child.kill()
    child.wait()
"""


@pytest.mark.parametrize(
    "body",
    [SWALLOWS_EXCEPTIONS, SWALLOWS_EVERYTHING, A_THREAD_SEES_THE_FLAG, WAITS_FOR_A_CHILD],
    ids=["swallows_exceptions", "swallows_everything", "a_thread_sees_the_flag", "waits_for_a_child"],
)
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_signal_stops_the_worker(*, worker, stop_at, source, tmp_path, body, number, exit_code):
    worker.write(body)
    end = stop_at("working", "--input", str(source), "--output", str(tmp_path / "out"), number=number)
    assert end.exit_code == exit_code, end
    received, stopped = end.message("received"), end.message("job stopped")
    assert received["message"] == f"{signal.Signals(number).name} received"
    assert stopped["exit_code"] == exit_code
    assert not (tmp_path / "out").exists()
    assert list(worker.scratch.iterdir()) == []


def test_only_the_platforms_signal_asks_for_another_attempt():
    """Whatever else would end a process this way keeps the shell's convention, and is not retried."""
    assert Interrupted(signal.SIGTERM).exit_code == os.EX_TEMPFAIL == 75
    assert Interrupted(signal.SIGINT).exit_code == 130
    assert Interrupted(signal.SIGHUP).exit_code == 129


def test_second_signal_does_not_break_the_clean_up(worker, stop_at, source, tmp_path):
    worker.write(
        """
        import signal
        try:
            task.log.info("working")
            time.sleep(120)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            task.log.info("cleaned up")
        """
    )
    end = stop_at("working", "--input", str(source), "--output", str(tmp_path / "out"))
    assert end.exit_code == 75, end
    assert end.message("cleaned up")
    assert [line["message"] for line in end.lines].count("SIGTERM received") == 1
