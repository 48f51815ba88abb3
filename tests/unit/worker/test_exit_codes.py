from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("body", "exit_code", "error_type"),
    [
        ("raise BadInputError('not mine')", 65, "BadInputError"),
        ("raise MissingInputError('gone')", 66, "MissingInputError"),
        ("raise TransientError('later')", 75, "TransientError"),
        ("raise AccessDeniedError('no')", 77, "AccessDeniedError"),
        ("raise CannotCreateError('no')", 73, "CannotCreateError"),
        ("raise KeyError('bug')", 70, "KeyError"),
        ("raise PermissionError(13, 'a bug of the worker')", 70, "PermissionError"),
        ("raise OSError(28, 'No space left on device')", 75, "OSError"),
        ("sys.exit(0)", 70, "SystemExit"),
        ("pass", 70, "ValueError"),
        ("(task.output_dir / 'result.json').touch()", 70, "ValueError"),
        ("task.describe('a'); (task.output_dir / 'b').touch()", 70, "ValueError"),
    ],
)
def test_failure_has_its_exit_code(*, worker, source, tmp_path, body, exit_code, error_type):
    end = worker.write(body).on(source, tmp_path / "out")
    assert end.exit_code == exit_code, end
    line = end.lines[-1]
    assert (line["level"], line["exit_code"], line["error_type"]) == ("ERROR", exit_code, error_type)
    assert line["retryable"] is (exit_code == 75)
    assert ("traceback" in line) is (exit_code == 70)
    assert not (tmp_path / "out").exists()
    assert list(worker.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--input"),
        (["--input", "x"], "--output"),
        (["--input", "", "--output", "o"], "--input is empty"),
        (["--input", "s3://bucket", "--output", "o"], "--input has no key"),
        (["--input", "s3:///key", "--output", "o"], "--input has no bucket"),
        (["--input", "https://host/key", "--output", "o"], "scheme 'https'"),
        (["--input", "x", "--output", "file://host/o"], "--output names a host"),
        (["--inp", "x", "--output", "o"], "--input"),
    ],
)
def test_wrong_command_line_is_64(worker, arguments, said):
    end = worker.write("pass").run(*arguments)
    assert end.exit_code == 64
    assert said in end.lines[-1]["message"]


def test_help_is_0(worker):
    process = worker.write("pass").start("--help")
    stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, b"--input" in stdout) == (0, True)


def test_missing_local_input_is_66(worker, tmp_path):
    end = worker.write("pass").on(tmp_path / "none", tmp_path / "out")
    assert (end.exit_code, end.lines[-1]["stage"]) == (66, "pull")
    assert str(tmp_path / "none") in end.lines[-1]["message"]


def test_folder_as_input_is_66(worker, tmp_path):
    assert worker.write("pass").on(tmp_path, tmp_path / "out").exit_code == 66


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_unreadable_input_is_77(worker, source, tmp_path):
    source.chmod(0)
    assert worker.write("pass").on(source, tmp_path / "out").exit_code == 77


def test_output_that_cannot_be_a_folder_is_73(worker, source, tmp_path):
    (tmp_path / "out").write_text("a file")
    end = worker.write("(task.output_dir / 'a').touch()").on(source, tmp_path / "out")
    assert (end.exit_code, end.lines[-1]["stage"]) == (73, "push")


def test_unreachable_s3_is_75(worker, tmp_path):
    worker.environment |= {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    end = worker.write("pass").on("s3://some-bucket/key", tmp_path / "out")
    assert (end.exit_code, end.lines[-1]["retryable"]) == (75, True)


def test_invalid_bucket_name_is_64(worker, tmp_path):
    end = worker.write("pass").on("s3://no bucket/key", tmp_path / "out")
    assert end.exit_code == 64
    assert "no bucket" in end.lines[-1]["message"]


def test_no_credentials_is_77(worker, tmp_path):
    worker.environment |= {
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    assert worker.write("pass").on("s3://some-bucket/key", tmp_path / "out").exit_code == 77


@pytest.mark.parametrize("key", ["folder/", "a/..", "."])
def test_key_that_names_no_file_is_65(worker, tmp_path, key: str):
    end = worker.write("pass").on(f"s3://some-bucket/{key}", tmp_path / "out")
    assert end.exit_code == 65
    assert "does not name a file" in end.lines[-1]["message"]


def test_scratch_that_does_not_exist_still_reports(worker, source, tmp_path: Path):
    worker.environment["TMPDIR"] = str(tmp_path / "none")
    end = worker.write("(task.output_dir / 'a').touch()").on(source, tmp_path / "out")
    # Python falls back to another temporary folder: the job goes on.
    assert end.exit_code == 0
