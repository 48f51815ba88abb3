"""app.py, run as the CDK command runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import batch_stack

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]


def _run_app(settings: Path, outdir: Path, **context: str) -> subprocess.CompletedProcess[str]:
    # No PATH: neither a system Node.js nor anything else is there to be found.
    environment = {
        "CDK_OUTDIR": str(outdir),
        "CDK_CONTEXT_JSON": json.dumps({"settings": str(settings), **context}),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }
    command = [sys.executable, str(ROOT / "app.py")]
    return subprocess.run(
        command, cwd=outdir, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_malformed_settings_file_ends_with_one_message_and_no_traceback(tmp_path: Path) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("tiers:\n  critical:\n    compute: [spot]\n    priority: 5000\n", encoding="utf-8")

    result = _run_app(settings, tmp_path)

    assert result.returncode == 1
    assert result.stderr.strip() == (
        f"{settings}: tiers.critical.priority must be a whole number between 0 and 1000, got 5000"
    )
    assert not list(tmp_path.glob("*.template.json"))


def test_what_cannot_work_is_said_with_the_files_name(tmp_path: Path) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("jobs: {a: {image: busybox, gpus: 1}}\n", encoding="utf-8")

    result = _run_app(settings, tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(f"{settings}: jobs.a.gpus must be 0 to fit ")


def test_another_settings_file_can_be_given_and_no_node_js_has_to_be_installed(tmp_path: Path) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text("name: my-own\n", encoding="utf-8")

    result = _run_app(settings, tmp_path)

    assert (result.returncode, result.stderr) == (0, "")
    assert (tmp_path / "my-own.template.json").is_file()


def test_an_edit_that_would_lose_jobs_is_refused_once_there_is_a_lock_file(tmp_path: Path) -> None:
    settings, lock = tmp_path / "mine.yaml", tmp_path / "mine.lock.json"
    settings.write_text("name: my-own\n", encoding="utf-8")
    assert _run_app(settings, tmp_path).returncode == 0
    assert not lock.exists()
    assert _run_app(settings, tmp_path, lock="create").returncode == 0
    assert list(json.loads(lock.read_text())["tiers"]) == ["bulk", "critical", "fargate", "standard"]

    settings.write_text("name: my-own\ntiers: {only: {priority: 1, compute: [spot]}}\n", encoding="utf-8")
    result = _run_app(settings, tmp_path)

    assert result.returncode == 1
    assert result.stderr.startswith(f"{lock}: what is deployed would be lost\n  tiers must have 'bulk'")


def test_what_is_retired_is_a_warning_of_cdk_until_it_is_acknowledged(tmp_path: Path) -> None:
    settings, lock = tmp_path / "mine.yaml", tmp_path / "mine.lock.json"
    tiers = "tiers: {only: {priority: 1, compute: [spot]}}\n"
    settings.write_text(f"{tiers}retired: {{tiers: [slow]}}\n", encoding="utf-8")
    assert _run_app(settings, tmp_path, lock="create").returncode == 0
    (shown,) = _warnings(tmp_path)
    assert shown.startswith(
        f"{settings}: tiers.slow is retired: if its queue is still deployed, this deletes"
    )
    assert shown.endswith("[ack: batch-stack:deletedQueue:tiers.slow]")

    with settings.open("a", encoding="utf-8") as file:
        file.write("acknowledge: ['batch-stack:deletedQueue:tiers.slow']\n")
    assert _run_app(settings, tmp_path).returncode == 0
    assert _warnings(tmp_path) == []
    assert json.loads(lock.read_text())["retired"]["tiers"] == ["slow"]


def _warnings(outdir: Path) -> list[str]:
    entries = json.loads((outdir / "batch-stack.metadata.json").read_text())["/batch-stack"]
    return [entry["data"] for entry in entries if entry["type"] == "aws:cdk:warning"]


def test_settings_and_the_lock_load_nothing_that_asks_node_js_for_anything() -> None:
    # app.py imports them while a thread starts Node.js, which can be asked one thing at a time.
    script = (
        "import sys, batch_stack.lock.check, batch_stack.settings.file;"
        "print(*({'jsii', 'constructs', 'aws_cdk'} & {name.split('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-c", script]

    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)

    assert result.stdout.strip() == ""


def test_every_public_name_can_be_imported() -> None:
    for name in batch_stack.__all__:
        assert getattr(batch_stack, name).__name__ == name
    with pytest.raises(AttributeError, match="No batch_stack attribute nonsense"):
        batch_stack.nonsense  # noqa: B018
