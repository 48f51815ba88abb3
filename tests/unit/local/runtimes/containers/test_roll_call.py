"""What becomes of a container whose attached client overlooks its end, with a command line made for that."""

import os
import sys
import threading
from pathlib import Path

import pytest

from batch_engine.local.runtimes.containers.arguments import ContainerLaunch
from batch_engine.local.runtimes.containers.cli import ContainerCli
from batch_engine.local.runtimes.containers.clients import Clients
from batch_engine.local.runtimes.containers.runner import ContainerRunner
from tests.support import wait_for

DEADLINE_S = 20
NAME = "batch-stack-a-1"
STATE = '{"Status": "%s", "StartedAt": "2026-01-01T00:00:00Z", "ExitCode": 3, "OOMKilled": false}'
ENGINE = """
cd "$(dirname "$0")"
case "$1 $2" in
  "image inspect") echo '{"Cmd": ["x"]}';;
  "start --attach") touch up; exec sleep 1000;;
  "container inspect") test -e up || exit 1
    test -e looked && test -e gone && exit 1
    test -e looked && test -e over && { cat exited; exit; }
    cat running; touch looked;;
  "ps --all") cat list; echo "ps" >> calls;;
esac
"""


class Fake:
    """A container command line whose attached client never ends, and a runner that uses it."""

    def __init__(self, folder: Path, listed: str) -> None:
        self.folder = folder
        self.reports = []
        self.changed = threading.Condition()
        (folder / "running").write_text(STATE % "running")
        (folder / "exited").write_text(STATE % "exited")
        (folder / "list").write_text(listed)
        script = folder / "engine.sh"
        script.write_text(ENGINE)
        cli = ContainerCli(("sh", str(script)), "docker", "1", dict(os.environ))
        self.runner = ContainerRunner(Clients(cli, "a=b"), ("a=b",), self._reported, roll_call_s=0.05)

    def _reported(self, messages):
        with self.changed:
            self.reports += messages
            self.changed.notify_all()

    def start(self):
        launch = ContainerLaunch(
            key=("a", 1),
            name=NAME,
            image="image",
            asset=None,
            options=(),
            command=("x",),
            variables={},
            volumes=(),
            scratch=str(self.folder / "scratch"),
            log=str(self.folder / "log"),
        )
        self.runner.send([("start", launch)])

    def wait_for(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE_S), self.reports

    def lists(self):
        calls = self.folder / "calls"
        return len(calls.read_text().splitlines()) if calls.exists() else 0


@pytest.fixture
def fake(tmp_path, request):
    if not sys.platform.startswith("linux"):
        pytest.skip("its shell script was tried on Linux only")
    running = Fake(tmp_path, request.param)
    yield running
    running.runner.close(0)


def up_to_date(name, status):
    return f"another\tUp 1 second\n{name}\t{status}\n"


@pytest.mark.parametrize("fake", ["another\tUp 1 second\n"], indirect=True)
def test_container_that_is_missing_twice_is_lost(fake):
    (fake.folder / "gone").touch()
    fake.start()
    fake.wait_for(lambda: ("lost", ("a", 1)) in fake.reports)
    assert fake.lists() >= 2


@pytest.mark.parametrize("fake", [up_to_date(NAME, "Exited (3) 1 second ago")], indirect=True)
def test_container_that_has_ended_is_reported_as_it_ended(fake):
    (fake.folder / "over").touch()
    fake.start()
    fake.wait_for(lambda: any(report[0] == "ended" for report in fake.reports))
    assert ("ended", ("a", 1), 3, False, 0) in fake.reports


@pytest.mark.parametrize("fake", [up_to_date(NAME, "Up 2 seconds")], indirect=True)
def test_container_that_is_up_is_left_alone(fake):
    fake.start()
    fake.wait_for(lambda: any(report[0] == "started" for report in fake.reports))
    wait_for(lambda: fake.lists() >= 5, "a fifth list")
    assert [report[0] for report in fake.reports] == ["started"]
