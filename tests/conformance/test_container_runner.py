"""What the container runner does at the edges of an attempt's life, in a real container engine."""

import contextlib
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from batch_engine.local.base.assembly_images import ImageAsset
from batch_engine.local.runtimes.containers.arguments import ContainerLaunch
from batch_engine.local.runtimes.containers.cli import find_cli
from batch_engine.local.runtimes.containers.clients import Clients
from batch_engine.local.runtimes.containers.runner import STOPPED_EARLY, ContainerRunner
from tests.conformance.podman import BASE_IMAGE
from tests.support import wait_for

pytestmark = pytest.mark.cloud

DEADLINE_S = 30
LABEL = "batch-stack.test=runner"


class Bench:
    """A container runner, and all that it has reported."""

    def __init__(self, podman, folder: Path) -> None:
        self.podman, self.folder = podman, folder
        self.reports = []
        self.changed = threading.Condition()
        self.clients = Clients(find_cli(podman.cli), LABEL)
        self.runner = ContainerRunner(self.clients, (LABEL,), self._reported)

    def _reported(self, messages):
        with self.changed:
            self.reports += messages
            self.changed.notify_all()

    def start(self, name, script, asset=None):
        launch = ContainerLaunch(
            key=(name, 1),
            name=f"batch-stack-{name}",
            image=BASE_IMAGE,
            asset=asset,
            options=("--name", f"batch-stack-{name}", "--network", "host", "--log-driver", "none"),
            command=("/bin/sh", "-c", script),
            variables={},
            volumes=(),
            scratch=str(self.folder / name),
            log=str(self.folder / f"{name}.log"),
        )
        self.runner.send([("start", launch)])

    def stop(self, name, grace_s):
        self.runner.send([("stop", (name, 1), grace_s)])

    def report(self, kind, name):
        def find():
            return [report for report in self.reports if report[0] == kind and report[1] == (name, 1)]

        with self.changed:
            assert self.changed.wait_for(find, DEADLINE_S), f"no {kind} of {name} in {self.reports}"
            return find()[0]

    def lines(self, name):
        log = self.folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []


def clients(word):
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if word in child.cmdline():
                found.append(child)
    return found


@pytest.fixture
def bench(podman, tmp_path):
    running = Bench(podman, tmp_path)
    yield running
    running.runner.close(0)
    assert podman.containers() == []


def test_stubborn_container_is_killed_when_its_time_is_over(bench):
    bench.start("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: bench.lines("stubborn"), "a line")
    begin = time.monotonic()
    bench.stop("stubborn", 1.0)
    assert bench.report("ended", "stubborn")[2:4] == (137, False)
    assert time.monotonic() - begin > 1.0


def test_second_stop_may_shorten_the_first(bench):
    bench.start("patient", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: bench.lines("patient"), "a line")
    bench.stop("patient", 1000)
    bench.stop("patient", 0.2)
    assert bench.report("ended", "patient")[2] == 137


def test_stop_right_after_the_start_still_stops(bench):
    bench.start("early", "trap 'exit 5' TERM; while :; do sleep 0.05; done")
    bench.stop("early", 0.2)
    with bench.changed:
        over = bench.changed.wait_for(lambda: any(r[0] in ("ended", "failed") for r in bench.reports), 30)
    assert over, "it goes on running"
    wait_for(lambda: bench.podman.containers() == [], "no container")


def test_job_need_not_wait_for_its_image_to_be_stopped(bench, tmp_path):
    """Somebody else has the same image built, and that takes long."""
    asset = ImageAsset("hangs", tmp_path, {"directory": "."})
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\n")
    held = bench.runner._images._locks["localhost/batch-stack-asset:hangs"]
    with held:
        bench.start("waiting", "echo never", asset)
        bench.stop("waiting", 30)
        assert bench.report("failed", "waiting")[2] == STOPPED_EARLY
    wait_for(lambda: not bench.runner._running, "the end of the attempt")
    assert [report[0] for report in bench.reports] == ["failed"]
    assert bench.lines("waiting") == []


def test_container_is_followed_on_when_its_client_is_killed(bench):
    bench.start("alone", "echo one; until test -e /tmp/go; do sleep 0.05; done; echo two; exit 6")
    bench.report("started", "alone")
    wait_for(lambda: bench.lines("alone") == ["one"], "the first line")
    (client,) = clients("--attach")
    client.send_signal(signal.SIGKILL)
    wait_for(lambda: clients("--no-stdin"), "another client")
    bench.podman("exec", "batch-stack-alone", "touch", "/tmp/go")
    assert bench.report("ended", "alone")[2] == 6
    assert bench.lines("alone")[0] == "one"


def test_image_stop_signal_counts(bench, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nSTOPSIGNAL SIGUSR1\n")
    asset = ImageAsset("usr1", tmp_path, {"directory": "."})
    bench.start("usr1", "trap 'exit 7' USR1; echo up; while :; do sleep 0.05; done", asset)
    wait_for(lambda: bench.lines("usr1"), "a line")
    bench.stop("usr1", 30)
    assert bench.report("ended", "usr1")[2] == 7


def test_close_lets_what_runs_end_in_its_own_way(podman, tmp_path):
    bench = Bench(podman, tmp_path)
    bench.start("polite", "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: bench.lines("polite"), "a line")
    bench.runner.close(DEADLINE_S)
    assert podman.containers() == []
    assert bench.report("ended", "polite")[2] == 0
    assert bench.runner._threads == set()
    assert bench.lines("polite") == ["up", "told"]


def test_close_removes_what_does_not_end(podman, tmp_path):
    bench = Bench(podman, tmp_path)
    bench.start("stubborn", "trap '' TERM; echo up; while :; do sleep 0.05; done")
    wait_for(lambda: bench.lines("stubborn"), "a line")
    bench.runner.close(0.5)
    assert podman.containers() == []
    assert bench.reports[-1][0] in ("ended", "lost")  # SIGKILL at the end of its time races with the removal
    assert bench.runner._threads == set()
