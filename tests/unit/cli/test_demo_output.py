"""What the demo prints: lines that fit a terminal of 80 columns, and nothing lost by that."""

import io
import json
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from batch_cli.demo import report
from batch_cli.demo.samples import Sample
from batch_cli.demo.scenario import Result
from batch_cli.demo.stages import Stages

ARN = "arn:aws:batch:us-east-1:000000000000:job-definition/MediaJobDefinition60EF45A6-eKOYlM9k3ZluHM0o:1"
JOB_ID = "78d3d9ca-579d-49b8-8c7a-af89f25ce551"
KEY = "media/summer 2026/Häschen + Freunde.mp4"
RECORD = {
    "time": "2026-11-23T01:34:06.233Z",
    "level": "ERROR",
    "message": "job failed: the data breaks off or is damaged: [Errno 1094995529] Invalid data found when "
    "processing input: 'avcodec_send_packet()' [bold]",
    "attempt": 3,
    "exit_code": 75,
}


def _console() -> Console:
    return Console(file=io.StringIO(), width=80)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def shown(tmp_path: Path) -> str:
    attempts = [{"container": {"exitCode": 75}}] * 3
    job = {"jobId": JOB_ID, "status": "FAILED", "attempts": attempts, "retryStrategy": {"attempts": 3}}
    (tmp_path / KEY).mkdir(parents=True)
    objects = [f"{KEY}/{name}" for name in ("rendition.mp4", "thumbnail.jpg")]
    for name in objects:
        (tmp_path / name).write_bytes(b"x" * 252_852)
    sample = Sample(key=KEY, body=b"", says="torn", status="FAILED", attempts=3)
    result = Result(sample, job, log_lines=[json.dumps(RECORD), "no JSON [red]"], objects=objects)
    messages = [f"AWS Batch job x FAILED\nJob definition: {ARN}\nReason: {'one word ' * 20}"]
    console = _console()
    report.show(console, [result], messages, tmp_path)
    return _text(console)


def test_only_what_would_be_broken_is_wider_than_80_columns(shown: str, tmp_path: Path) -> None:
    wide = [line for line in shown.splitlines() if cell_len(line) > 80 and str(tmp_path) not in line]
    assert wide == [f"  Job definition: {ARN}"]
    assert not [line for line in shown.splitlines() if line != line.rstrip()]


def test_every_fact_is_there(shown: str, tmp_path: Path) -> None:
    words = shown.split()
    facts = f"FAILED job {JOB_ID} attempts 3 of 3, exit codes 75, 75, 75 attempt=3 exit_code=75 01:34:06.233"
    for fact in [*facts.split(), *RECORD["message"].split(), *KEY.split(), "[red]", "252,852", str(tmp_path)]:
        assert fact in words
    assert words.count("word") == 20


def test_a_result_that_does_not_fit_beside_its_stage_is_below_it() -> None:
    console = _console()
    stages = Stages(console)
    for name, result in (("Short", "http://127.0.0.1:42379"), ("Bucket", "b" * 46), ("None", "")):
        with stages.stage(name) as stage:
            stage.result = result
    short, bucket, below, none = _text(console).splitlines()
    assert short.endswith(" s  http://127.0.0.1:42379")
    assert (bucket.endswith(" s"), below) == (True, f"    {'b' * 46}")
    assert none.endswith(" s")
    assert all(len(line) <= 80 for line in (short, bucket, below, none))
