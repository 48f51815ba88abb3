"""Log lines and credentials reach their destination."""

import threading

from batch_engine.core.model.log_destination import LogDestination
from batch_engine.local.base.ports import ClientError, Credentials
from batch_engine.local.engine.log_shipper import LogShipper
from batch_engine.local.engine.role_credentials import RoleCredentials

DEADLINE_S = 20


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
