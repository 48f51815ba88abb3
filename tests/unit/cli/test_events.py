"""``batch-stack local events``: what it prints."""

import json

import pytest
from click.testing import CliRunner

from batch_cli.local import events as module
from batch_cli.local.events import events

ANSWER = {
    "count": 12,
    "faults": 1,
    "events": [
        {
            "event": 11,
            "timeMs": 1_700_000_000_123,
            "kind": "AttemptFinished",
            "jobId": "j",
            "attempt": 1,
            "exitCode": None,
            "actions": [{"kind": "JobMoved", "jobId": "j", "after": "FAILED", "event": 11}],
        },
        {
            "event": 12,
            "timeMs": 1_700_000_000_124,
            "kind": "JobTerminated",
            "jobId": "j",
            "actions": [],
            "faults": [{"reason": "RuntimeError: no", "refused": True, "trace": "..."}],
        },
    ],
}


@pytest.fixture
def asked(monkeypatch):
    asked = []
    monkeypatch.setattr(module, "running_server", lambda folder: folder)
    monkeypatch.setattr(module, "post", lambda _, path, request: asked.append((path, request)) or ANSWER)
    return asked


def test_each_action_is_shown_under_its_event(asked):
    result = CliRunner().invoke(events, ["--job", "j", "--last", "2"])
    assert asked == [("/_batch-stack/events", {"last": 2, "job": "j"})]
    assert result.output.splitlines() == [
        "#11  2023-11-14 22:13:20.123  AttemptFinished  jobId=j  attempt=1",
        "    -> JobMoved  jobId=j  after=FAILED  (event 11)",
        "#12  2023-11-14 22:13:20.124  JobTerminated  jobId=j",
        "    !! internal error: RuntimeError: no; the request was refused",
        "12 events since the start, 1 internal errors",
    ]


def test_json_lines(asked):
    result = CliRunner().invoke(events, ["--json"])
    assert [json.loads(line) for line in result.output.splitlines()] == ANSWER["events"]
    assert asked[0][1] == {"last": 20, "job": None}
