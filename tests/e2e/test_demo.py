"""``batch-stack demo`` as a user runs it, and as a user breaks it off."""

import contextlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from batch_cli.demo.run import ROOT
from tests.support import wait_for

pytestmark = pytest.mark.cloud

DEMO = [sys.executable, "-m", "batch_cli.main", "demo"]
DEADLINE_S = 200.0


def processes_of(folder: Path) -> list[str]:
    """Every process whose command line or working folder names a folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                words = [*process.cmdline(), process.cwd()]
                if any(str(folder) in word for word in words):
                    found.append(" ".join(words))
    return found


def start(folder: Path) -> "subprocess.Popen[str]":
    command = [*DEMO, "--output", str(folder / "output"), "--data-dir", str(folder / "data")]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def test_demo_shows_it_all_and_leaves_nothing_running(tmp_path: Path) -> None:
    demo = start(tmp_path)
    text, _ = demo.communicate(timeout=DEADLINE_S)
    assert demo.returncode == 0, text
    report = json.loads((tmp_path / "output/report.json").read_text())
    good, torn, other = report["jobs"]
    assert (good["status"], len(good["attempts"])) == ("SUCCEEDED", 1)
    assert (torn["status"], len(torn["attempts"])) == ("FAILED", 3)
    assert (other["status"], len(other["attempts"])) == ("FAILED", 1)
    assert {name.rpartition("/")[2] for name in good["objects"]} == {
        "thumbnail.jpg",
        "rendition.mp4",
        "result.json",
    }
    for name in good["objects"]:
        assert (tmp_path / "output" / name).stat().st_size > 0
    assert len(report["messages"]) == 2
    for job in report["jobs"]:
        assert job["jobId"] in text
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("moment", ["server.json", "cdk-synth.log", "cdk-deploy.log"])
def test_interrupted_demo_leaves_nothing_running(tmp_path: Path, moment: str) -> None:
    demo = start(tmp_path)
    wait_for((tmp_path / "data" / moment).exists, f"{moment} appearing", DEADLINE_S)
    demo.send_signal(signal.SIGINT)
    text, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, text
    assert "Interrupted" in text
    wait_for(lambda: not processes_of(tmp_path), "the last process ending")


def test_failing_demo_names_the_log(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    broken = tmp_path / "project"
    broken.mkdir()
    script = (
        "from pathlib import Path; import batch_cli.demo.run as run; "
        f"run.ROOT = Path({str(broken)!r}); "
        f"run.run_demo(output=Path({str(tmp_path / 'output')!r}), data_dir=Path({str(tmp_path / 'data')!r}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert result.returncode != 0
    assert "run `make setup`" in result.stderr
    assert processes_of(tmp_path) == []
