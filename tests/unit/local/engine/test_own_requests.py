"""Requests to the paths of ours that are no requests at all."""

import pytest

from batch_engine.local.engine import instance_capacity, interrupt, recent_events


def unasked(*_):
    raise AssertionError("nothing was asked for")


@pytest.mark.parametrize("answer", [interrupt.answer, instance_capacity.answer, recent_events.answer])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"[1]", "the request must be a JSON object, got [1]"),
        (b'"' + b"x" * 200 + b'"', 'the request must be a JSON object, got "' + "x" * 99),
        (b"{", "Expecting property name"),
        (b"[" * 100_000, "the request must be a JSON object, got one that is nested too deeply"),
    ],
)
def test_a_body_that_is_not_an_object_is_refused_and_quoted(answer, body, message):
    status, document = answer(unasked, body)
    assert status == 400
    assert document["message"].startswith(message)
    assert len(document["message"]) < 200


def test_a_notice_that_no_number_holds_is_refused():
    body = b'{"job": "j", "noticeSeconds": ' + b"9" * 400 + b"}"

    assert interrupt.answer(unasked, body)[0] == 400
