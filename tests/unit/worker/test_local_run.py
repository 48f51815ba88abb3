from __future__ import annotations

import hashlib
import json
import signal
import stat
from pathlib import Path

import pytest

GOOD = """
(task.output_dir / "sub").mkdir()
(task.output_dir / "sub" / "copy.txt").write_text(task.input.read_text().upper())
(task.output_dir / "zero").touch()
task.describe("sub/copy.txt", letters=5)
return {"note": "ünï"}
"""


def test_results_and_manifest(worker, source, tmp_path):
    worker.environment |= {
        "AWS_BATCH_JOB_ID": "job-1:7",
        "AWS_BATCH_JOB_ATTEMPT": "2",
        "AWS_BATCH_JOB_ARRAY_INDEX": "7",
    }
    end = worker.write(GOOD).on(source, tmp_path / "out")
    assert end.exit_code == 0, end
    result = tmp_path / "out" / "in.txt"
    assert (result / "sub" / "copy.txt").read_text() == "HELLO"
    manifest = json.loads((result / "result.json").read_text())
    assert (manifest["job_id"], manifest["attempt"], manifest["array_index"]) == ("job-1:7", 2, 7)
    assert manifest["worker"] == {"name": "test-worker", "version": "1.2.3"}
    assert manifest["metadata"] == {"note": "ünï"}
    assert manifest["input"]["uri"] == f"file://{source}"
    assert manifest["input"]["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert set(manifest["timings_s"]) == {"pull", "process", "push"}
    copy, zero = manifest["outputs"]
    assert copy == {
        "name": "sub/copy.txt",
        "uri": f"file://{result}/sub/copy.txt",
        "size_bytes": 5,
        "sha256": hashlib.sha256(b"HELLO").hexdigest(),
        "content_type": "text/plain",
        "metadata": {"letters": 5},
    }
    assert (zero["name"], zero["size_bytes"], zero["content_type"]) == ("zero", 0, "application/octet-stream")
    assert source.read_text() == "hello"
    assert list(worker.scratch.iterdir()) == []


def test_every_line_is_json_with_the_job(worker, source, tmp_path):
    worker.environment |= {"AWS_BATCH_JOB_ID": "job-2", "AWS_BATCH_JOB_ATTEMPT": "3"}
    body = """
    import logging, warnings
    logging.getLogger("library").warning("two\\nlines %s", "and arguments")
    warnings.warn("careful")
    task.log.info("100% \\udc80 ü", job_id="mine", size=1)
    (task.output_dir / "a").touch()
    """
    end = worker.write(body).on(source, tmp_path / "out")
    assert end.exit_code == 0, end
    assert {(line["job_id"], line["attempt"]) for line in end.lines} == {("job-2", 3)}
    assert all(line["time"].endswith("+00:00") and line["level"] for line in end.lines)
    assert end.message("two\nlines and arguments")["logger"] == "library"
    assert end.message("careful")["level"] == "WARNING"
    own = end.message("100% \udc80 ü")
    assert (own["field_job_id"], own["size"]) == ("mine", 1)
    for stage, message in {"pull": "pulled", "process": "processed", "push": "pushed"}.items():
        line = next(line for line in end.lines if line["message"] == message)
        assert line["stage"] == stage
        assert line["duration_s"] >= 0
    assert end.message("pulled")["bytes"] == 5


@pytest.mark.parametrize("name", ["holiday clip ünï+#?%20.txt", "-rf", "a" * 255])
def test_awkward_names(worker, tmp_path, name):
    (tmp_path / name).write_text("x")
    end = worker.write("(task.output_dir / 'a').write_text(task.input.name)").on(
        tmp_path / name, f"file://{tmp_path}/out"
    )
    assert end.exit_code == 0, end
    assert (tmp_path / "out" / name / "a").read_text() == name


def test_relative_name_with_leading_dash(worker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("-x").write_text("x")
    end = worker.write("(task.output_dir / 'a').touch()").run("--input=-x", "--output", "out")
    assert end.exit_code == 0, end
    assert (tmp_path / "out" / "-x" / "a").exists()


def test_run_again_replaces_the_results(worker, source, tmp_path):
    worker.write("(task.output_dir / 'a').write_text(str(task.attempt))")
    assert worker.on(source, tmp_path / "out").exit_code == 0
    worker.environment["AWS_BATCH_JOB_ATTEMPT"] = "2"
    assert worker.on(source, tmp_path / "out").exit_code == 0
    result = tmp_path / "out" / "in.txt"
    assert sorted(path.name for path in result.iterdir()) == ["a", "result.json"]
    assert (result / "a").read_text() == "2"
    assert json.loads((result / "result.json").read_text())["attempt"] == 2


def test_pushed_files_follow_the_umask(worker, source, tmp_path):
    worker.write("os.umask(0o027); f = task.output_dir / 'a'; f.touch(0o600)")
    assert worker.on(source, tmp_path / "out").exit_code == 0
    assert stat.S_IMODE((tmp_path / "out" / "in.txt" / "a").stat().st_mode) == 0o640


def test_manifest_is_pushed_last(worker, source, tmp_path):
    end = worker.write("[(task.output_dir / name).touch() for name in ('z', 'result.jsonx', 'a')]").on(
        source, tmp_path / "out"
    )
    pushed = [line["uri"].rpartition("/")[2] for line in end.lines if line["message"] == "pushed file"]
    assert pushed == ["a", "result.jsonx", "z", "result.json"]


PUSH_IN_TWO_STEPS = """
import shutil
(task.output_dir / "a").write_text("first")
(task.output_dir / "b").write_text("second half is missing")
copy = shutil.copyfileobj
def torn(source, target, length):
    if source.name.endswith("/b"):
        target.write(source.read(6))
        target.flush()
        task.log.info("half written")
        time.sleep(120)
    copy(source, target, length)
shutil.copyfileobj = torn
"""


def test_kill_in_the_middle_of_a_push_leaves_nothing_half_made(worker, stop_at, source, tmp_path):
    worker.write(PUSH_IN_TWO_STEPS)
    end = stop_at(
        "half written", "--input", str(source), "--output", str(tmp_path / "out"), number=signal.SIGKILL
    )
    assert end.exit_code == -signal.SIGKILL
    visible = [path.name for path in (tmp_path / "out" / "in.txt").iterdir() if path.name[0] != "."]
    assert visible == ["a"]


def test_sigterm_in_the_middle_of_a_push_leaves_no_litter(worker, stop_at, source, tmp_path):
    worker.write(PUSH_IN_TWO_STEPS)
    end = stop_at("half written", "--input", str(source), "--output", str(tmp_path / "out"))
    assert end.exit_code == 75
    assert [path.name for path in (tmp_path / "out" / "in.txt").iterdir()] == ["a"]
    assert list(worker.scratch.iterdir()) == []
