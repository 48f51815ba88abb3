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
    data = tmp_path / "data"
    assert data.stat().st_mode & 0o066 == 0
    assert [name for name in ("outputs.json", "server.log") if (data / name).stat().st_mode & 0o077] == []


@pytest.mark.parametrize("moment", ["server.json", "cdk-synth.log", "cdk-deploy.log"])
def test_interrupted_demo_leaves_nothing_running(tmp_path: Path, moment: str) -> None:
    demo = start(tmp_path)
    wait_for((tmp_path / "data" / moment).exists, f"{moment} appearing", DEADLINE_S)
    demo.send_signal(signal.SIGINT)
    text, _ = demo.communicate(timeout=60)
    assert demo.returncode == 130, text
    assert "Interrupted" in text
    wait_for(lambda: not processes_of(tmp_path), "the last process ending")


def run_demo(tmp_path: Path, *, breaks: str) -> "subprocess.CompletedProcess[str]":
    """Run the demo in a process of its own, with one thing broken by a line of Python."""
    script = (
        "from pathlib import Path; from batch_cli.demo import platform, run; "
        f"{breaks}; "
        f"run.run_demo(output=Path({str(tmp_path / 'output')!r}), data_dir=Path({str(tmp_path / 'data')!r}))"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )


def test_failing_command_is_shown_with_its_log(tmp_path: Path) -> None:
    breaks = "platform.Platform.bootstrap = lambda self: self.cdk('cdk-bootstrap', 'no-such-command')"
    result = run_demo(tmp_path, breaks=breaks)
    assert result.returncode != 0
    log_path = tmp_path / "data/cdk-bootstrap.log"
    assert "cdk-bootstrap failed with exit code" in result.stderr
    assert f"log: {log_path}" in result.stderr
    assert log_path.read_text().strip()
    assert processes_of(tmp_path) == []


def test_missing_toolchain_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    result = run_demo(tmp_path, breaks=f"run.ROOT = Path({str(tmp_path / 'project')!r})")
    assert result.returncode != 0
    assert "run `make setup`" in result.stderr
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("option", ["--output", "--data-dir"])
def test_folders_of_others_are_never_emptied(tmp_path: Path, option: str) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.doc").write_text("years of work")
    folders = {"--output": tmp_path / "output", "--data-dir": tmp_path / "data", option: precious}
    words = [str(word) for pair in folders.items() for word in pair]
    result = subprocess.run([*DEMO, *words], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert f"{precious} is not empty" in result.stderr
    assert (precious / "thesis.doc").read_text() == "years of work"
