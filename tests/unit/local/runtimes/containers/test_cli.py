"""Which container command lines there are, whether they work, and what they say."""

import json
import logging
import os
import platform
import re

import pytest

from batch_engine.local.engine.runtime_choice import choose
from batch_engine.local.runtimes.containers import watch
from batch_engine.local.runtimes.containers.cli import CLIS, dialect_of, find_cli, last_line, reach
from batch_engine.local.runtimes.containers.state import ContainerState, ran_out_of_memory, read_state
from batch_engine.local.runtimes.protocol import RuntimeUnavailableError
from batch_engine.local.server.batch_only import build_batch_engine

HERE = {"KernelVersion": platform.release(), "OperatingSystem": "Debian", "SecurityOptions": ["name=seccomp"]}


@pytest.fixture
def install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name, version, info=None, complaint="no daemon"):
        answer = f"echo '{json.dumps(info)}'" if info else f"echo '{complaint}' >&2; exit 1"
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "{version}" && exit\n{answer}\n')
        script.chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("version", "dialect"),
    [
        ("Docker version 28.2.2, build e6534b4", "docker"),
        ("podman version 4.3.1", "podman"),
        ("nerdctl version 1.7.6", "nerdctl"),
        ("finch version v1.4.1", "nerdctl"),
    ],
)
def test_dialects(version, dialect):
    assert dialect_of(version) == dialect


def test_first_that_works_is_taken(install):
    install("docker", "Docker version 28")
    install("finch", "finch version v1.4.1", HERE)
    install("nerdctl", "nerdctl version 1.7.6", HERE)
    found = find_cli(None)
    assert (found.words, found.dialect, found.warning) == (("finch",), "nerdctl", None)
    assert found.argv("ps") == ["finch", "ps"]
    assert found.environment == dict(os.environ)


def test_podman_that_calls_itself_docker(install):
    install("docker", "podman version 4.3.1", {"host": {"kernel": platform.release()}})
    assert find_cli(None).dialect == "podman"


def test_none_that_works_says_why_of_each(install):
    install("docker", "Docker version 28", complaint="Cannot connect to the Docker daemon")
    install("podman", "podman version 4", {"host": {"kernel": "other"}})
    with pytest.raises(RuntimeUnavailableError) as refused:
        find_cli(None)
    lines = str(refused.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:5]] == list(CLIS)
    assert "docker: Cannot connect to the Docker daemon" in lines[1]
    assert "podman: its containers run on another machine or in a virtual one" in lines[2]
    assert "finch: not found on PATH" in lines[3]


def test_the_one_that_is_asked_for_with_its_options(install):
    install("docker", "Docker version 28", HERE)
    with pytest.raises(RuntimeUnavailableError, match="podman --root /x: not found on PATH"):
        find_cli("podman --root /x")


@pytest.mark.parametrize(
    ("info", "refusal", "warning"),
    [
        (HERE, None, None),
        ({"host": {"kernel": platform.release(), "security": {"rootless": True}}}, None, None),
        (HERE | {"ServerErrors": ["no daemon"]}, "no daemon", None),
        (HERE | {"KernelVersion": "1.2"}, r"kernel 1\.2, this machine has", None),
        (HERE | {"OperatingSystem": "Docker Desktop", "KernelVersion": "1"}, None, "Enable host networking"),
        (HERE | {"SecurityOptions": ["name=seccomp", "name=rootless"]}, "rootless podman works", None),
        ({}, "kernel unknown", None),
    ],
)
def test_whether_containers_reach_the_local_cloud(info, refusal, warning):
    refused, warned = reach(info, platform.release())
    assert bool(refused) == bool(refusal)
    assert refusal is None or re.search(refusal, refused)
    assert bool(warned) == bool(warning)
    assert warning is None or warning in warned


def test_auto_takes_containers_where_they_work_and_says_why_where_not(install, caplog):
    caplog.set_level(logging.INFO)
    assert choose("auto").cli is None
    assert "no container command line works" in caplog.text
    install("podman", "podman version 4.3.1", {"host": {"kernel": platform.release()}})
    assert str(choose("auto")) == "container (podman version 4.3.1)"
    assert str(choose("container")) == "container (podman version 4.3.1)"
    assert str(choose("process")) == "process"


def test_a_runtime_that_may_not_work_has_a_warning(install, caplog):
    install("docker", "Docker version 28", HERE | {"OperatingSystem": "Docker Desktop"})
    assert choose("container").cli is not None
    assert "Enable host networking" in caplog.text


def test_containers_of_an_earlier_run_that_cannot_be_removed_fail_the_start(install, tmp_path):
    install("podman", "podman version 4.3.1", {"host": {"kernel": platform.release()}})
    (tmp_path / "podman").write_text(
        (tmp_path / "podman").read_text() + '[ "$1" != ps ] || { echo storage is broken >&2; exit 125; }\n'
    )
    with pytest.raises(RuntimeUnavailableError, match="cannot be removed: storage is broken"):
        build_batch_engine(tmp_path / "data", "http://127.0.0.1:1", runtime=choose("container"))


def test_a_container_that_another_process_removes_is_gone_a_moment_later(tmp_path, monkeypatch):
    monkeypatch.setattr(watch, "_PAUSE_S", 0)
    cli, asked = tmp_path / "docker", tmp_path / "asked"
    cli.write_text(
        f'#!/bin/sh\necho "$*" >> {asked}\n'
        f'[ "$1" != ps ] || [ -e {tmp_path}/removed ] || echo c1\n'
        f'[ "$1" != rm ] || {{ : > {tmp_path}/removed; echo removal is already in progress >&2; exit 1; }}\n'
    )
    cli.chmod(0o755)
    assert watch.sweep([str(cli)], "a=b", os.environ) is None
    assert [line for line in asked.read_text().splitlines() if line.startswith("rm")] == [
        "rm --force --volumes c1"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Error: no such image\n", "no such image"),
        ("Trying to pull x...\nError: initializing: refused\n", "initializing: refused"),
        (
            "docker: Error response from daemon: pull denied.\nSee 'docker run --help'.\n",
            "Error response from",
        ),
        ("Error response from daemon: no\n\nRun 'docker start --help' for more information\n", "Error resp"),
        ('time="2026" level=fatal msg="failed to resolve \\"x\\""', 'failed to resolve "x"'),
        (f"Error: unable to start container {'0a' * 32}: runc: absent\n", "runc: absent"),
        ("\n", ""),
    ],
)
def test_line_that_says_what_went_wrong(text, line):
    assert last_line(text).startswith(line)
    assert bool(last_line(text)) == bool(line)


NEVER = "0001-01-01T00:00:00Z"
ONCE = "2026-11-22T21:51:09Z"


@pytest.mark.parametrize(
    ("state", "read"),
    [
        ({"Status": "created", "StartedAt": NEVER, "ExitCode": 127}, (False, False, 127, None)),
        ({"Status": "exited", "StartedAt": NEVER, "ExitCode": 127}, (False, False, 127, None)),
        ({"Status": "initialized", "StartedAt": NEVER}, (False, False, 0, None)),
        ({"Status": "running", "Running": True, "StartedAt": ONCE}, (True, True, 0, None)),
        ({"Status": "stopping", "StartedAt": ONCE}, (True, True, 0, None)),
        ({"Status": "running", "OOMKilled": False}, (True, True, 0, False)),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, (True, False, 137, True)),
        ({"Status": "exited", "ExitCode": 3, "StartedAt": ONCE}, (True, False, 3, None)),
    ],
)
def test_states(state, read):
    assert read_state(json.dumps(state)) == ContainerState(*read)


@pytest.mark.parametrize(
    ("exit_code", "told", "seen", "killed", "kills", "expected"),
    [
        (137, True, False, False, 0, True),
        (1, True, False, False, 0, True),
        (0, True, True, False, 1, False),
        (137, False, True, False, 1, True),
        (137, False, False, False, 1, False),
        (137, None, False, False, 1, True),
        (137, None, False, False, 0, False),
        (137, None, False, True, 1, False),
        (1, None, False, False, 1, False),
        (1, None, True, False, 1, True),
    ],
)
def test_want_of_memory(exit_code, told, seen, killed, kills, expected):
    state = ContainerState(True, False, exit_code, told)
    assert ran_out_of_memory(state, has_seen_oom=seen, is_killed=killed, oom_kills=kills) is expected
