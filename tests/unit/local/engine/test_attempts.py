"""Attempts in the hands of a runner that dies, and of a runtime that fails: each of them is accounted for."""

import threading
from types import SimpleNamespace

import pytest

from batch_engine.core.model.events import AttemptFinished, AttemptStarted, HostLost
from batch_engine.local.engine import attempts as module
from batch_engine.local.engine.attempts import AttemptRunner
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.role_credentials import RoleCredentials
from tests.support import wait_for


def job(job_id, command=("run",)):
    attempt = SimpleNamespace(number=1, task_id=job_id)
    container = {"image": "i", "command": list(command), "jobRoleArn": "role"}
    return SimpleNamespace(id=job_id, attempt=attempt, definition_arn="arn/d:1", container=container)


class FakeRunner:
    """Takes what it is sent, and does nothing of it."""

    def __init__(self, reported, lost):
        self.reported, self.lost = reported, lost
        self.sent = []
        self.is_closed = False

    def send(self, messages):
        self.sent += [(kind, *rest) for kind, *rest in messages]

    def close(self, grace_s):
        self.is_closed = True


class FakeRuntime:
    """Has fake runners; a job's command says whether it can be prepared."""

    def __init__(self):
        self.runners = []
        self.before_open = lambda: None

    def is_quick(self, job):
        return job.container["image"] != "slow"

    def prepare(self, job, given):
        if job.container["command"] == ["fail"]:
            raise ValueError("embedded null byte")
        return {"key": (job.id, job.attempt.number)}

    def open(self, reported, lost, loop):
        self.before_open()
        self.runners.append(FakeRunner(reported, lost))
        return self.runners[-1]


class Bench:
    """An attempt runner over fakes, and all that it has told."""

    def __init__(self, folder):
        self.scratch = folder / "scratch"
        self.events = []
        self.lines = []
        self.runtime = FakeRuntime()
        self.logs = LogShipper(self)
        self.roles = RoleCredentials(None, "http://x")
        self.attempts = AttemptRunner(
            scratch_root=self.scratch,
            shared=folder / "shared",
            runtime=self.runtime,
            credentials=self.roles,
            secrets=None,
            logs=self.logs,
            tell=self.events.extend,
        )
        self.attempts.open()

    def put(self, group, stream, lines):
        self.lines += [text for _, text in lines]

    @property
    def runner(self):
        return self.runtime.runners[-1]

    def start(self, *job_ids):
        self.attempts.start([job(job_id) for job_id in job_ids])

    def run(self, job_id, text=""):
        """Start a job that prints, as its runner does."""
        self.start(job_id)
        (self.scratch / f"{job_id}-1").mkdir()
        (self.scratch / f"{job_id}-1.log").write_text(text)
        self.runner.reported([("started", (job_id, 1), 1)])


@pytest.fixture
def bench(tmp_path):
    running = Bench(tmp_path)
    yield running
    running.attempts.close()


def test_a_start_while_a_dead_runner_is_replaced_is_lost_with_it(bench):
    bench.start("before")
    dead = bench.runner
    bench.runtime.before_open = lambda: bench.start("meanwhile")
    dead.lost()
    assert bench.events == [HostLost("before", 1), HostLost("meanwhile", 1)]
    bench.runtime.before_open = lambda: None
    bench.start("after")
    assert bench.runner is not dead
    assert [launch["key"] for _, launch in bench.runner.sent] == [("after", 1)]
    bench.runner.lost()
    assert bench.events[2:] == [HostLost("after", 1)], "each is lost once"


def test_attempts_that_are_prepared_while_a_dead_runner_is_replaced_go_to_the_new_one(bench, monkeypatch):
    gate = threading.Event()
    prepare = bench.runtime.prepare
    monkeypatch.setattr(bench.runtime, "prepare", lambda *given: gate.wait(30) and prepare(*given))
    slow = job("slow")
    slow.container["image"] = "slow"
    bench.attempts.start([slow])
    bench.attempts.stop("slow", 1, 7.0)
    bench.runner.lost()
    assert bench.events == []
    gate.set()
    wait_for(lambda: len(bench.runner.sent) == 2, "the start and the stop")
    assert bench.runner.sent == [("start", {"key": ("slow", 1)}), ("stop", ("slow", 1), 7.0)]


def test_an_attempt_that_had_ended_is_not_lost(bench, monkeypatch):
    """Its last lines are on their way when the runner dies."""
    gate = threading.Event()
    finish = bench.logs.finish
    monkeypatch.setattr(bench.logs, "finish", lambda path: gate.wait(30) and finish(path))
    bench.run("ended", "line\n")
    bench.runner.reported([("ended", ("ended", 1), 3, False, 5)])
    bench.runner.lost()
    gate.set()
    wait_for(lambda: len(bench.events) == 2, "the end")
    assert bench.events == [AttemptStarted("ended", 1), AttemptFinished("ended", 1, 3)]
    assert bench.lines == ["line"]


@pytest.mark.parametrize("end", ["dead runner", "lost", "failed"])
def test_nothing_is_left_of_an_attempt_that_no_runner_has_cleared_away(bench, end):
    bench.run("job", "last line")
    (bench.scratch / "job-1" / "file").touch()
    (bench.scratch / "job-1.root").mkdir()
    if end == "dead runner":
        (bench.scratch / "spare-1" / "tmp").mkdir(parents=True)
        (bench.scratch / "spare-2").touch()
        bench.runner.lost()
    else:
        bench.runner.reported([("lost", ("job", 1)) if end == "lost" else ("failed", ("job", 1), "why")])
    wait_for(lambda: not list(bench.scratch.iterdir()), "the end of its files")
    assert bench.lines == ["last line"]
    assert bench.logs._tails == {}
    assert bench.attempts._running == {}
    assert bench.roles._roles == {}


def test_a_runner_that_cannot_be_replaced_at_once_is_replaced_later(bench, monkeypatch, caplog):
    monkeypatch.setattr(module, "REPLACE_AGAIN_S", 0.01)
    failures = [OSError("no memory")] * 3

    def fail():
        if failures:
            raise failures.pop()

    bench.runtime.before_open = fail
    bench.start("job")
    bench.runner.lost()
    assert bench.events == [HostLost("job", 1)]
    assert "no memory" in caplog.text
    assert len(bench.runtime.runners) == 2


def test_the_end_does_not_wait_for_a_runner_that_cannot_be_replaced(bench, monkeypatch):
    monkeypatch.setattr(module, "REPLACE_AGAIN_S", 300.0)
    asked = threading.Event()

    def fail():
        asked.set()
        raise OSError("no memory")

    bench.runtime.before_open = fail
    replacing = threading.Thread(target=bench.runner.lost)
    replacing.start()
    assert asked.wait(30)
    bench.attempts.close()
    replacing.join(30)
    assert not replacing.is_alive()
    assert bench.events == []


@pytest.mark.parametrize("image", ["quick", "slow"])
def test_any_fault_of_one_job_lets_the_others_start(bench, image):
    bad = job("bad", ["fail"])
    bad.container["image"] = image
    bench.attempts.start([job("first"), bad, job("last")])
    assert [launch["key"][0] for _, launch in bench.runner.sent] == ["first", "last"]
    wait_for(lambda: bench.events, "the failure")
    reason = "CannotStartContainerError: ValueError: embedded null byte"
    assert bench.events == [AttemptFinished("bad", 1, None, reason, "Task failed to start")]
    assert bench.roles._roles.keys() == {
        attempt.token for attempt in bench.attempts._running.values() if attempt.token
    }
