"""What the runner does for an attempt: a folder, limits, mounts, a user, and a thorough end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from batch_engine.local.base.dockerfile import ImageConfig
from batch_engine.local.base.job_environment import HostFacts
from batch_engine.local.base.launch import MARKS, Places
from batch_engine.local.runtimes.process_runtime import ProcessRuntime, RunnerProcess
from batch_engine.local.runtimes.protocol import AttemptInputs
from tests.support import wait_for

DEADLINE_S = 30
SHELL = "/bin/sh"
FAR_MORE = 1 << 40
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")


def mounts_work() -> bool:
    probe = ["unshare", "-m", "true"] if os.geteuid() == 0 else ["unshare", "-rm", "true"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


needs_mounts = pytest.mark.skipif(not mounts_work(), reason="this system allows no mount namespaces")


class Bench:
    """A runner, and all it has reported."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports = []
        self.changed = threading.Condition()
        self.lost = threading.Event()
        self.runner = RunnerProcess(self._reported, self.lost.set)

    def _reported(self, messages):
        with self.changed:
            self.reports += messages
            self.changed.notify_all()

    def start(self, name, argv, memory_bytes=FAR_MORE, environment=None, cwd=None, **setup):
        defaults = {"mounts": [], "limits": [], "user": None, "folders": []}
        launch = {
            "key": (name, 1),
            "argv": argv,
            "env": {"PATH": os.environ["PATH"], "AWS_BATCH_JOB_ID": name, "AWS_BATCH_JOB_ATTEMPT": "1"}
            | (environment or {}),
            "scratch": str(self.folder / name),
            "cwd": cwd or str(self.folder / name),
            "log": str(self.folder / f"{name}.log"),
            "memory_bytes": memory_bytes,
            "marks": MARKS,
            "setup": defaults | setup if setup else None,
        }
        self.runner.send([("start", launch)])

    def report(self, kind, name):
        def find():
            return [report for report in self.reports if report[0] == kind and report[1] == (name, 1)]

        with self.changed:
            assert self.changed.wait_for(find, DEADLINE_S), f"no {kind} of {name} in {self.reports}"
            return find()[0]

    def ended(self, name):
        _, _, exit_code, out_of_memory, _ = self.report("ended", name)
        return exit_code, out_of_memory

    def printed(self, name):
        self.report("ended", name)
        return (self.folder / f"{name}.log").read_text().splitlines()

    def first_line(self, name):
        log = self.folder / f"{name}.log"
        return wait_for(lambda: log.exists() and log.read_text().endswith("\n") and log.read_text(), "a line")

    def is_gone(self, pid):
        wait_for(lambda: not psutil.pid_exists(pid), f"the end of process {pid}")


@pytest.fixture
def bench(tmp_path):
    running = Bench(tmp_path)
    yield running
    running.runner.close(0.5)


def shell(script):
    return [SHELL, "-c", script]


def test_working_directory_is_fresh_and_goes_with_the_attempt(bench):
    bench.start("job", shell("pwd; ls -A; mkdir deep; touch deep/file"))
    folder, *entries = bench.printed("job")
    assert (folder, entries) == (str(bench.folder / "job"), ["tmp"])
    assert not Path(folder).exists()


def test_path_of_the_job_finds_its_command(bench):
    tools = bench.folder / "tools"
    tools.mkdir()
    (tools / "greet").write_text("#!/bin/sh\necho hello\n")
    (tools / "greet").chmod(0o755)
    bench.start("job", ["greet"], environment={"PATH": str(tools)})
    assert bench.printed("job") == ["hello"]


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["absent"], 'CannotStartContainerError: exec: "absent": executable file not found in $PATH'),
        (["/absent"], 'CannotStartContainerError: exec: "/absent": executable file not found in $PATH'),
        (["/etc/passwd"], 'CannotStartContainerError: exec: "/etc/passwd": permission denied'),
    ],
)
@pytest.mark.parametrize("setup", [{}, {"limits": [("nofile", 100, 100)]}], ids=["plain", "set up"])
def test_command_that_cannot_start_says_why(bench, argv, reason, setup):
    bench.start("job", argv, **setup)
    assert bench.report("failed", "job")[2] == reason
    assert not (bench.folder / "job").exists()


def test_exit_codes_are_those_that_a_shell_shows(bench):
    bench.start("seven", shell("exit 7"))
    bench.start("killed", shell("kill -SEGV $$"))
    assert bench.ended("seven") == (7, False)
    assert bench.ended("killed") == (128 + signal.SIGSEGV, False)


def test_signals_have_their_defaults(bench):
    bench.start("job", shell("kill -PIPE $$; echo survived"))
    assert bench.ended("job") == (128 + signal.SIGPIPE, False)


def test_group_above_its_memory_is_killed(bench):
    hog = "import time\nblock = bytearray(80 << 20)\ntime.sleep(60)"
    bench.start("job", shell(f"{sys.executable} -c '{hog}'; true"), memory_bytes=40 << 20)
    assert bench.ended("job") == (137, True)


def test_stop_is_sigterm_and_then_sigkill(bench):
    bench.start("polite", shell("trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done"))
    bench.start("stubborn", shell("trap '' TERM; echo up; while :; do sleep 0.05; done"))
    for name, grace_s in (("polite", 30), ("stubborn", 0.2)):
        bench.first_line(name)
        bench.runner.send([("stop", (name, 1), grace_s)])
    assert bench.ended("polite") == (3, False)
    assert bench.ended("stubborn") == (137, False)


def test_whole_group_ends_with_its_first_process(bench):
    bench.start("job", shell("sleep 300 & echo $!"))
    bench.is_gone(int(bench.printed("job")[0]))


def test_process_that_left_its_group_ends_with_the_attempt(bench):
    bench.start("other", shell("echo up; sleep 300"))
    bench.first_line("other")
    script = (
        "import os, time\nif os.fork() == 0:\n os.setsid()\n print(os.getpid(), flush=True)\n time.sleep(300)"
    )
    bench.start("job", [sys.executable, "-c", f"{script}\nimport time\ntime.sleep(0.5)"])
    bench.is_gone(int(bench.printed("job")[0]))
    assert ("ended", ("other", 1)) not in [report[:2] for report in bench.reports]


def test_orphans_leave_no_zombie(bench):
    bench.start("job", shell("(sleep 0.05 & echo $!); sleep 300"))
    pid = int(bench.first_line("job"))
    bench.is_gone(pid)


def test_death_of_the_engine_ends_everything(bench):
    bench.start("job", shell("trap '' TERM; setsid sleep 300 & echo $!; sleep 300"))
    pid = int(bench.first_line("job"))
    main = bench.report("started", "job")[2]
    bench.runner._channel.shutdown(2)  # what the end of the engine's process does
    for gone in (pid, main, bench.runner._process.pid):
        wait_for(
            lambda gone=gone: (
                not psutil.pid_exists(gone) or psutil.Process(gone).status() == psutil.STATUS_ZOMBIE
            ),
            f"the end of {gone}",
        )


def test_death_of_the_runner_ends_its_attempts_and_is_reported(bench):
    bench.start("job", shell("echo up; sleep 300"))
    main = bench.report("started", "job")[2]
    bench.runner._process.kill()
    assert bench.lost.wait(DEADLINE_S)
    wait_for(
        lambda: not psutil.pid_exists(main) or psutil.Process(main).status() == psutil.STATUS_ZOMBIE,
        "its end",
    )


def test_ulimits(bench):
    bench.start("job", shell("ulimit -Sn; ulimit -Hn"), limits=[("nofile", 123, 456)])
    bench.start("unknown", shell("true"), limits=[("wishes", 3, 3)])
    assert bench.printed("job") == ["123", "456"]
    assert (
        bench.report("failed", "unknown")[2] == "CannotCreateContainerError: this system has no ulimit wishes"
    )


@root_only
def test_user(bench):
    bench.start("job", shell("id -u; id -g; id -G; touch mine tmp/mine && echo wrote"), user=(1234, 2345))
    assert bench.printed("job") == ["1234", "2345", "2345", "wrote"]


@needs_mounts
@pytest.mark.parametrize("target", ["/mnt/batch-stack-test/deep", "/batch-stack-test/deep"])
def test_a_volume_is_mounted_at_its_container_path(bench, target):
    source = bench.folder / "source"
    source.mkdir()
    (source / "given").write_text("hello\n")
    script = f"cat {target}/given; echo back > {target}/made; pwd; ls $TMPDIR; test -x {SHELL} && echo ok"
    environment = {"TMPDIR": str(bench.folder / "job" / "tmp")}
    bench.start("job", shell(script), environment=environment, mounts=[(str(source), target, False, False)])
    assert bench.printed("job") == ["hello", str(bench.folder / "job"), "ok"]
    assert (source / "made").read_text() == "back\n"
    assert not Path(target).parent.exists(), "the machine's own disk must not be touched"
    assert not (bench.folder / "job.root").exists()


@needs_mounts
def test_read_only_volume_cannot_be_written(bench):
    source = bench.folder / "source"
    source.mkdir()
    bench.start(
        "job",
        shell("touch /mnt/batch-stack-ro/x 2>/dev/null || echo refused"),
        mounts=[(str(source), "/mnt/batch-stack-ro", True, False)],
    )
    assert bench.printed("job") == ["refused"]


@needs_mounts
def test_a_mount_that_cannot_be_made_is_an_error_unless_it_is_optional(bench):
    missing = str(bench.folder / "missing")
    bench.start("job", shell("true"), mounts=[(missing, "/mnt/batch-stack-test", False, False)])
    bench.start("comfort", shell("echo ran"), mounts=[(missing, "/mnt/batch-stack-test", False, True)])
    reason = bench.report("failed", "job")[2]
    assert reason.startswith(
        f"CannotCreateContainerError: {missing} cannot be mounted at /mnt/batch-stack-test"
    )
    assert bench.printed("comfort") == ["ran"]


def test_a_folder_that_serves_again_is_fresh(bench):
    """Two attempts leave no trace and the third one does: each finds only its own empty ``tmp``."""
    for name in ("first", "second", "third"):
        bench.start(name, shell("[ $(ls -A) = tmp ] && [ -z $(ls -A tmp) ] && [ ! -s /proc/self/fd/1 ]"))
        assert bench.ended(name) == (0, False)
        assert not (bench.folder / name).exists()
        assert not (bench.folder / f"{name}.log").exists()
    bench.start("untidy", shell("echo line; touch file tmp/file"))
    assert bench.printed("untidy") == ["line"]
    bench.start("last", shell("ls -A . tmp"))
    assert bench.printed("last") == [".:", "tmp", "", "tmp:"]


def test_a_process_left_behind_does_not_write_to_the_next_log(bench):
    """A daemon that has left its session dies with its attempt, whose log is not used again."""
    bench.start("parent", ["/bin/sh", "-c", "setsid sh -c 'trap \"\" TERM; sleep 0.2; echo late' & exit 0"])
    bench.report("ended", "parent")
    bench.start("next", shell("sleep 0.5; echo mine"))
    assert bench.printed("next") == ["mine"]


def test_a_launch_that_the_system_cannot_take_costs_no_other_attempt_its_life(bench):
    bench.start("other", shell("echo up; sleep 300"))
    bench.first_line("other")
    bench.start("bad", ["echo", "a\0b"])
    assert bench.report("failed", "bad")[2] == "CannotStartContainerError: embedded null byte"
    bench.runner.send([("stop", ("other", 1), 0.1)])
    assert bench.ended("other") == (143, False)


@pytest.mark.parametrize("setup", [{}, {"limits": [("nofile", 64, 64)]}], ids=["plain", "set up"])
def test_a_job_starts_in_its_working_directory(bench, tmp_path, setup):
    there = tmp_path / "workdir"
    there.mkdir()
    (there / "tool").write_text("#!/bin/sh\npwd\n")
    (there / "tool").chmod(0o755)
    bench.start("there", ["./tool"], cwd=str(there), **setup)
    bench.start("absent", shell("pwd"), cwd=str(tmp_path / "nowhere"), **setup)
    bench.start("a file", shell("pwd"), cwd=str(there / "tool"), **setup)
    assert [bench.ended(name) for name in ("there", "absent", "a file")] == [(0, False)] * 3
    assert bench.printed("there") == [str(there)]
    assert bench.printed("absent") == [str(bench.folder / "absent")]
    assert bench.printed("a file") == [str(bench.folder / "a file")]


@needs_mounts
def test_a_working_directory_may_be_a_mount(bench, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "given").write_text("hello\n")
    target = "/mnt/batch-stack-workdir"
    bench.start("mounted", shell("pwd; cat given"), cwd=target, mounts=[(str(source), target, False, False)])
    assert bench.ended("mounted") == (0, False)
    assert bench.printed("mounted") == [target, "hello"]


@root_only
def test_a_working_directory_that_its_user_may_not_enter_is_named(bench, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    bench.start("refused", shell("pwd"), cwd=str(closed), user=(65534, 65534))
    _, _, reason = bench.report("failed", "refused")
    assert reason == f'CannotStartContainerError: chdir to "{closed}": Permission denied'


class Images:
    def find(self, image):
        return ImageConfig(environment={"FROM_IMAGE": "1"}, workdir="/no/such/folder")


def test_a_setting_that_a_process_cannot_have_is_logged_once_an_image(tmp_path, caplog):
    runtime = ProcessRuntime(Images(), HostFacts("http://127.0.0.1:1", "eu-west-1", "/bin"))
    attempt = SimpleNamespace(number=1, compute_environment="ce", main_private_ipv4=None)
    container = {"image": "i", "command": ["run"], "environment": []}
    job = SimpleNamespace(
        id="j",
        attempt=attempt,
        memory_mib=3,
        container=container,
        queue="q",
        platform="EC2",
        array_index=None,
        node_index=None,
    )
    given = AttemptInputs(Places(str(tmp_path / "j-1"), str(tmp_path / "j-1.log"), tmp_path), {}, None)
    for _ in range(2):
        launch = runtime.prepare(job, given)
        assert (launch["cwd"], launch["env"]["FROM_IMAGE"]) == ("/no/such/folder", "1")
    assert caplog.messages == [
        "image i: WORKDIR /no/such/folder is not a folder of this machine: jobs start in their own folder"
    ]
