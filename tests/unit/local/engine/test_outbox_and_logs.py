"""Events, log lines, timers and credentials reach their destination."""

import threading

from batch_engine.core.model.log_destination import LogDestination
from batch_engine.local.base.ports import ClientError, Credentials
from batch_engine.local.engine.event_outbox import Outbox
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.role_credentials import RoleCredentials
from batch_engine.local.engine.timers import Timers
from batch_engine.local.store.store import Announcement, Store

DEADLINE_S = 20


class Events:
    def __init__(self, failures=0, expected=1):
        self.failures = failures
        self.expected = expected
        self.seen = []
        self.done = threading.Event()

    def publish(self, *, detail_type, resources, detail, time_ms):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("not now")
        self.seen.append((detail_type, resources, detail["n"], time_ms))
        if len(self.seen) == self.expected:
            self.done.set()


def details(count):
    return [Announcement("Batch Job State Change", f"arn:{number}", {"n": number}) for number in range(count)]


def test_events_arrive_in_order_despite_failures(tmp_path):
    store, events = Store(tmp_path / "s"), Events(failures=1, expected=20)
    outbox = Outbox(store, events)
    outbox.start()
    outbox.put(store.save({}, details(20), 5))
    assert events.done.wait(DEADLINE_S)
    outbox.stop()
    assert events.seen == [("Batch Job State Change", [f"arn:{n}"], n, 5) for n in range(20)]
    assert store.pending_events() == []


def test_undelivered_events_are_delivered_by_the_next_run(tmp_path):
    store = Store(tmp_path / "s")
    store.save({}, details(3), 5)
    events = Events(expected=3)
    outbox = Outbox(store, events)
    outbox.start()
    assert events.done.wait(DEADLINE_S)
    outbox.stop()


class Lines:
    def __init__(self):
        self.texts = []
        self.got = threading.Condition()

    def put(self, group, stream, lines):
        with self.got:
            self.texts.extend((group, stream, text) for _, text in lines)
            self.got.notify_all()


def test_lines_are_readable_while_the_job_runs(tmp_path):
    sink = Lines()
    shipper = LogShipper(sink)
    shipper.start()
    path = tmp_path / "job.log"
    path.write_bytes(b"first\nhalf a li")
    shipper.follow(str(path), LogDestination("g", "s"))
    with sink.got:
        assert sink.got.wait_for(lambda: sink.texts == [("g", "s", "first")], DEADLINE_S)
    with path.open("ab") as file:
        file.write("ne ü\r\n\n".encode() + b"\xff no newline")
    shipper.finish(str(path))
    shipper.stop()
    assert [text for _, _, text in sink.texts] == ["first", "half a line ü", "\ufffd no newline"]


def test_very_long_lines_are_not_lost(tmp_path):
    sink = Lines()
    shipper = LogShipper(sink)
    path = tmp_path / "job.log"
    path.write_bytes(b"x" * 3_000_000 + b"\nend")
    shipper.follow(str(path), LogDestination("g", "s"))
    shipper.finish(str(path))
    assert sum(text.count("x") for _, _, text in sink.texts) == 3_000_000
    assert sink.texts[-1][2] == "end"


def test_timers_fire_in_order_of_time_not_of_setting():
    now, fired, done = [1000], [], threading.Event()
    timers = Timers(lambda: now[0])
    timers.at(3000, lambda: (fired.append("late"), done.set()))
    timers.at(2000, lambda: fired.append("early"))
    timers.start()
    now[0] = 5000
    timers.at(10_000_000, lambda: fired.append("never"))
    assert done.wait(DEADLINE_S)
    timers.stop()
    assert fired == ["early", "late"]


def test_a_dropped_timer_does_not_fire_and_does_not_stay():
    now, fired, done = [1000], [], threading.Event()
    timers = Timers(lambda: now[0])
    dropped = [timers.at(2000, lambda: fired.append("dropped")) for _ in range(1000)]
    kept = timers.at(1500, lambda: fired.append("kept"))
    timers.at(2001, done.set)
    for timer in dropped:
        timers.drop(timer)
    assert len(timers) < 100
    now[0] = 5000
    timers.start()
    assert done.wait(DEADLINE_S)
    timers.drop(kept)
    timers.drop(dropped[0])
    timers.stop()
    assert fired == ["kept"]
    assert len(timers) == 0


def test_only_an_earlier_timer_wakes_the_thread(monkeypatch):
    timers, woken = Timers(lambda: 0), []
    monkeypatch.setattr(timers._changed, "notify", lambda: woken.append(1))
    for at_ms in (5000, 6000, 5000, 4000, 7000):
        timers.at(at_ms, lambda: None)
    assert len(woken) == 2


class Roles:
    def assume_role(self, role_arn, session_name):
        if role_arn == "gone":
            raise ClientError("no such role")
        return Credentials("AKIA", "secret", f"token of {session_name}", "2030-01-01T00:00:00Z")


def test_role_credentials():
    credentials = RoleCredentials(Roles(), "http://127.0.0.1:1")
    url, token = credentials.grant("arn:role", "job-1")
    assert url == f"http://127.0.0.1:1/_batch-stack/credentials/{token}"
    status, document = credentials.respond(token)
    assert (status, document["AccessKeyId"], document["Token"]) == (200, "AKIA", "token of job-1")
    assert document["Expiration"] == "2030-01-01T00:00:00Z"
    _, gone = credentials.grant("gone", "job-2")
    assert credentials.respond(gone)[0] == 400
    credentials.revoke(token)
    assert credentials.respond(token)[0] == 404
    assert credentials.respond("guessed")[0] == 404
