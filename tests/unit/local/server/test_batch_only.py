"""AWS Batch alone, over HTTP as any client may speak it, and its answer when nothing can be saved."""

import contextlib
import json
import os
import socket
import sqlite3

import pytest

from batch_engine.core.model.jobs import Job
from tests.support import running_endpoint

QUEUES = b'{"jobQueues": []}'


@pytest.fixture
def endpoint(tmp_path):
    with running_endpoint(tmp_path, host_vcpus=2) as running:
        yield running


@pytest.fixture
def say(endpoint):
    """Send bytes on a new connection, and give what comes back: a stream, or all there is until its end."""
    with contextlib.ExitStack() as stack:

        def talk(*parts, until_closed=False):
            port = int(endpoint.batch.meta.endpoint_url.rpartition(":")[2])
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for part in parts:
                connection.sendall(part)
            answers = connection.makefile("rb")
            return answers.read() if until_closed else answers

        yield talk


def request(method=b"POST", target=b"/v1/describejobqueues", body=QUEUES, *headers):
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


def answer(stream, without_body=False):
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    body = b"" if without_body else stream.read(int(headers.get("content-length", 0)))
    return status, headers, json.loads(body) if body else None


def test_requests_in_one_packet_are_answered_in_order(say):
    answers = say(request() + request(target=b"/v1/nosuch") + request())
    assert [answer(answers)[0] for _ in range(3)] == [200, 400, 200]


def test_a_connection_is_kept_for_as_many_requests_as_the_client_sends(say):
    answers = say(request() * 1100)
    assert {answer(answers)[0] for _ in range(1100)} == {200}


def test_a_request_in_many_packets(say):
    text = request()
    answers = say(*(text[at : at + 1] for at in range(len(text))))
    assert answer(answers)[2] == {"jobQueues": []}


def test_chunks(say):
    head = b"POST /v1/describejobqueues HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    answers = say(head + b'9\r\n{"jobQueu\r\n8\r\nes": []}\r\n0\r\n\r\n')
    assert answer(answers)[2] == {"jobQueues": []}


def test_a_client_that_waits_for_100_continue_receives_it(say):
    head, body = request(b"POST", b"/v1/describejobqueues", QUEUES, b"Expect: 100-continue").split(
        b"\r\n\r\n"
    )
    answers = say(head + b"\r\n\r\n")
    assert answers.readline().startswith(b"HTTP/1.1 100 ")
    assert body == QUEUES


def test_head_has_no_body(say):
    answers = say(request(method=b"HEAD") + request())
    assert answer(answers, without_body=True)[0] == 400
    assert answer(answers)[0] == 200


def test_connection_is_closed_where_the_client_says_so(say):
    text = say(request(b"POST", b"/v1/describejobqueues", QUEUES, b"Connection: close"), until_closed=True)
    assert text.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nconnection: close\r\n" in text.lower()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"this is no HTTP\r\n\r\n", b"400"),
        (b"POST /v1/submitjob HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (1 << 20), b"431"),
    ],
    ids=["nonsense", "length", "size"],
)
def test_an_invalid_request_ends_the_connection(say, text, status):
    with contextlib.suppress(ConnectionError):
        assert say(text, until_closed=True).split()[1] == status
    assert answer(say(request()))[0] == 200, "and nobody else's"


@pytest.mark.parametrize("header", [b"Host: example.org", b"Host: 127.0.0.1\r\nOrigin: https://example.org"])
def test_web_pages_are_kept_out(say, header):
    text = request().replace(b"Host: 127.0.0.1", header)
    status, _, body = answer(say(text))
    assert status == 403
    assert "example.org" in body["message"]


def test_a_change_that_cannot_be_saved_is_not_acknowledged(endpoint, say, monkeypatch):
    queue = endpoint.queue("q", endpoint.environment())
    definition = endpoint.definition("d", ["/bin/true"])
    body = json.dumps({"jobName": "j", "jobQueue": queue, "jobDefinition": definition}).encode()
    store, save = endpoint.engine._store, endpoint.engine._store.save

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store, "save", full)
    assert answer(say(request(target=b"/v1/submitjob", body=body)))[0] == 500
    monkeypatch.setattr(store, "save", save)
    status, _, accepted = answer(say(request(target=b"/v1/submitjob", body=body)))
    assert status == 200
    assert endpoint.wait(accepted["jobId"])["status"] == "SUCCEEDED"


def test_requests_that_come_together_are_saved_together(endpoint, say, monkeypatch):
    queue = endpoint.queue("q", endpoint.environment())
    definition = endpoint.definition("d", ["/bin/true"])
    body = json.dumps({"jobName": "j", "jobQueue": queue, "jobDefinition": definition}).encode()
    store, save, saved = endpoint.engine._store, endpoint.engine._store.save, []

    def counting(changed, *rest):
        saved.append(sum(isinstance(entity, Job) for entity in changed.values()))
        return save(changed, *rest)

    monkeypatch.setattr(store, "save", counting)
    with endpoint.engine._lock:  # the loop waits for it, and finds all of the requests afterwards
        connections = [say(request(target=b"/v1/submitjob", body=body)) for _ in range(9)]
    accepted = [answer(connection) for connection in connections]
    assert {status for status, _, _ in accepted} == {200}
    assert max(saved) >= 5
    for _, _, body in accepted:
        assert endpoint.wait(body["jobId"])["status"] == "SUCCEEDED"


UPGRADE = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")


@pytest.mark.parametrize("parts", ["together", "one by one"])
def test_another_protocol_that_is_offered_is_not_taken_up(say, parts):
    """Java's own client offers HTTP/2 with its first request."""
    offer = request(b"POST", b"/v1/describejobqueues", QUEUES, *UPGRADE)
    text = offer + request() + offer
    answers = say(*([text] if parts == "together" else (text[at : at + 1] for at in range(len(text)))))
    for _ in range(3):
        status, headers, body = answer(answers)
        assert (status, body) == (200, {"jobQueues": []})
        assert "upgrade" not in headers


def test_this_is_no_proxy(say):
    answers = say(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n")
    assert answer(answers, without_body=True)[0] == 403


def test_the_server_says_which_one_it_is(say):
    status, _, body = answer(say(request(b"GET", b"/_batch-stack/health", b"")))
    assert (status, body["status"], body["pid"]) == (200, "running", os.getpid())
