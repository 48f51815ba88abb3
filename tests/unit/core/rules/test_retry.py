"""The retry rules: what is decided, and why."""

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.rules.retry import decide, parse_retry_strategy

SPOT = {"onStatusReason": "Host EC2*", "action": "RETRY"}
PULL = {"onReason": "CannotPullContainerError:*", "action": "retry"}
TRANSIENT = {"onExitCode": "75", "action": "RETRY"}
REST = {"onReason": "*", "action": "EXIT"}
HOST_LOST = "Host EC2 (instance i-0123456789abcdef0) terminated."
ENDED = "Essential container in task exited"


@pytest.mark.parametrize(
    ("entries", "attempt", "exit_code", "reason", "status_reason", "retry", "why"),
    [
        ([], 1, 1, None, ENDED, True, "the attempt failed: attempt 2 of 3 follows"),
        ([], 3, 1, None, ENDED, False, "the attempt failed, but attempt 3 of 3 was the last"),
        ([SPOT, REST], 1, None, None, HOST_LOST, True, "evaluateOnExit[0] says RETRY"),
        ([SPOT, REST], 1, 1, None, ENDED, False, "evaluateOnExit[1] says EXIT"),
        ([SPOT, REST], 3, None, None, HOST_LOST, False, "attempt 3 of 3 was the last"),
        ([SPOT], 1, 1, None, ENDED, True, "no evaluateOnExit entry matches"),
        (
            [PULL, REST],
            1,
            None,
            "CannotPullContainerError: no",
            "Task failed to start",
            True,
            "[0] says RETRY",
        ),
        ([TRANSIENT, REST], 1, 75, None, ENDED, True, "evaluateOnExit[0] says RETRY"),
        ([TRANSIENT, REST], 1, 7, None, ENDED, False, "evaluateOnExit[1] says EXIT"),
        ([TRANSIENT, REST], 1, 751, None, ENDED, False, "a pattern without * is the whole text"),
        ([REST, TRANSIENT], 1, 75, None, ENDED, False, "the first match decides"),
        ([{**TRANSIENT, **SPOT}], 1, 75, None, ENDED, True, "no evaluateOnExit entry matches"),
        ([{**TRANSIENT, **SPOT}, REST], 1, 75, None, HOST_LOST, True, "all conditions of an entry hold"),
        ([{"onExitCode": "1*", "action": "EXIT"}], 1, None, None, HOST_LOST, True, "no exit code, no match"),
        ([{"onStatusReason": "host ec2*", "action": "EXIT"}], 1, None, None, HOST_LOST, True, "case matters"),
    ],
)
def test_decide(entries, attempt, exit_code, reason, status_reason, retry, why):
    strategy = parse_retry_strategy({"attempts": 3, "evaluateOnExit": entries})
    decision = decide(strategy, attempt, exit_code=exit_code, reason=reason, status_reason=status_reason)
    assert decision.retry is retry, why
    if " says " in why or "attempt" in why:
        assert why in decision.why


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({"evaluateOnExit": [REST]}, "RetryAttempts must be provided with retry strategy"),
        ({"attempts": 0}, "RetryAttempts must be between 1 and 10, got 0."),
        ({"attempts": 2, "evaluateOnExit": [REST] * 6}, "Up to 5 evaluateOnExit condition can be specified."),
        ({"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}]}, "should contain at least one of"),
        ({"attempts": 2, "evaluateOnExit": [{"onReason": "*x", "action": "EXIT"}]}, "restricted characters"),
        ({"attempts": 2, "evaluateOnExit": [{"onReason": "a*b", "action": "EXIT"}]}, "restricted characters"),
        ({"attempts": 2, "evaluateOnExit": [{"onExitCode": "x", "action": "EXIT"}]}, "restricted characters"),
        ({"attempts": 2, "evaluateOnExit": [{"onReason": "x" * 513, "action": "EXIT"}]}, "exceed 512"),
        (
            {"attempts": 2, "evaluateOnExit": [{"onReason": "*", "action": "STOP"}]},
            "must be RETRY or EXIT, got STOP",
        ),
    ],
)
def test_rejections(wire, message):
    with pytest.raises(ClientError) as caught:
        parse_retry_strategy(wire)
    assert message in caught.value.message


def test_absent_strategy_is_one_attempt():
    assert parse_retry_strategy(None) is None
    with pytest.raises(ClientError, match="RetryAttempts must be provided with retry strategy"):
        parse_retry_strategy({})
