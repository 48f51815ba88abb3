"""The ``batch-stack local`` commands, as far as they go without a server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from batch_cli.main import main
from batch_engine.local.server.state import (
    AlreadyRunningError,
    ServerRecord,
    exclusive,
    holder_pid,
    read_record,
    write_record,
)

RECORD = ServerRecord(os.getpid(), 1, "http://127.0.0.1:1", "eu-west-1", "000000000000", 0.0)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["local", *map(str, arguments)])


def test_help_names_every_command_and_imports_none() -> None:
    code = "import sys; from batch_cli.main import main; main(['local', '--help'], standalone_mode=False)"
    check = "; print('heavy:', [m for m in ('boto3', 'ministack', 'hypercorn') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, check=True)
    for name in ("start", "stop", "status", "env"):
        assert f"\n  {name} " in shown.stdout
    assert "heavy: []" in shown.stdout


@pytest.mark.parametrize("command", ["stop", "status", "env"])
def test_without_a_server_each_says_so_and_fails(command: str, tmp_path: Path) -> None:
    result = run(command, "--data-dir", tmp_path / "none")
    assert result.exit_code == 1
    assert f"no local cloud is running on {tmp_path / 'none'}" in result.output
    assert not (tmp_path / "none").exists(), "asking made a folder"


def test_a_record_without_a_living_server_is_not_believed(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    assert read_record(tmp_path) is None
    assert run("env", "--data-dir", tmp_path).exit_code == 1


def test_env_prints_what_a_shell_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    with exclusive(tmp_path):
        write_record(tmp_path, RECORD)
        result = run("env", "--data-dir", tmp_path)
    lines = result.output.splitlines()
    assert "unset AWS_PROFILE" in lines
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:1" in lines
    assert "export AWS_REGION=eu-west-1" in lines


def test_start_and_the_lock_both_name_the_server_that_is_there(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        assert holder_pid(tmp_path) == os.getpid()
        result = run("start", "--data-dir", tmp_path)
        with (
            pytest.raises(AlreadyRunningError, match=f"the server with pid {os.getpid()}"),
            exclusive(tmp_path),
        ):
            pass
    assert result.exit_code == 1
    assert f"(pid {os.getpid()})" in result.output
    assert holder_pid(tmp_path) is None


def test_a_server_that_is_not_ready_is_not_offered(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        assert "is running on" in run("env", "--data-dir", tmp_path).output
        assert "yet" in run("status", "--data-dir", tmp_path).output


def test_status_says_when_the_endpoint_is_silent(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        write_record(tmp_path, RECORD)
        result = run("status", "--data-dir", tmp_path)
    assert result.exit_code == 1
    assert "does not answer at http://127.0.0.1:1" in result.output


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "70000", "0<=x<=65535"),
        ("--host-vcpus", "0", "0<x<=100000"),
        ("--log-level", "LOUD", "'LOUD' is not one of"),
    ],
)
def test_options_out_of_range_are_refused(option: str, value: str, message: str, tmp_path: Path) -> None:
    result = run("start", "--data-dir", tmp_path / "d", option, value)
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "d").exists()


def test_env_without_a_server_breaks_a_chain_of_commands(tmp_path: Path) -> None:
    """Or `eval "$(batch-stack local env)" && cdk deploy` would deploy to the real AWS."""
    command = (
        f'eval "$({sys.executable} -m batch_cli.main local env --data-dir {tmp_path / "none"})" && echo on'
    )
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "on" not in result.stdout.splitlines()


def test_env_can_be_taken_back(tmp_path: Path) -> None:
    with exclusive(tmp_path):
        write_record(tmp_path, RECORD)
        exported = run("env", "--data-dir", tmp_path).output.splitlines()
    names = {line.removeprefix("export ").partition("=")[0] for line in exported if line.startswith("export")}
    unset = run("env", "--unset").output.splitlines()
    assert {line.removeprefix("unset ") for line in unset} == names


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--account", "12", "must be 12 digits, got '12'"),
        ("--account", "not-a-number", "must be 12 digits"),
        ("--region", "Ireland", "must be a Region such as eu-west-1, got 'Ireland'"),
        ("--runtime", "vm", "'vm' is not one of 'process', 'container', 'auto'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_is_made(
    option: str, value: str, message: str, tmp_path: Path
) -> None:
    refused = run("start", "--data-dir", tmp_path / "none", option, value)
    assert refused.exit_code == 2
    assert message in " ".join(refused.output.split())
    assert not (tmp_path / "none").exists()


def test_containers_without_a_command_line_for_them_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        "#!/bin/sh\n[ $1 = --version ] && echo Docker version 1 || { echo no daemon >&2; exit 1; }\n"
    )
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = run("start", "--data-dir", tmp_path / "none", "--runtime", "container")
    assert refused.exit_code == 1
    assert "docker: no daemon\n  podman: not found on PATH\n" in refused.output
    assert "--runtime process" in refused.output
    assert not (tmp_path / "none").exists()


def test_the_container_command_line_is_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCH_STACK_CONTAINER_CLI", "/absent/podman --root /x")
    refused = run("start", "--data-dir", tmp_path / "none", "--runtime", "auto")
    assert refused.exit_code == 1
    assert "/absent/podman --root /x: not found on PATH" in refused.output
