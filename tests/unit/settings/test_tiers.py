"""Fair share in the settings: identifiers that AWS takes."""

import json
import re
from typing import Any

import pytest

from batch_engine.core.model.errors import ClientError
from batch_engine.core.rules.fair_share import parse
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.root import Settings


def _content(*shares: str) -> dict[str, Any]:
    fair_share = {"shares": dict.fromkeys(shares, 1.0)}
    return {
        "compute": {"c": {"type": "spot"}},
        "tiers": {"t": {"priority": 1, "compute": ["c"], "fair_share": fair_share}},
    }


def _wire(*shares: str) -> dict[str, Any]:
    return {"shareDistribution": [{"shareIdentifier": name} for name in shares]}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        (
            ["team-a"],
            "names of letters and digits, at most 255 characters, of which the last may be an asterisk, "
            "got 'team-a'",
        ),
        (["*a"], "got '*a'"),
        (["a**"], "got 'a**'"),
        ([""], "got ''"),
        (["é"], "got 'é'"),
        (["a" * 256], f"got {'a' * 256!r}"),
        (["userA1", "userA*"], "must not overlap, got 'userA1' and 'userA*', which includes it"),
        (["user*", "userA*"], "must not overlap, got 'userA*' and 'user*', which includes it"),
        (["*", "b"], "must not overlap, got 'b' and '*', which includes it"),
    ],
)
def test_share_identifiers_that_aws_batch_refuses_are_refused(shares: list[str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings(_content(*shares), source="f")
    assert str(raised.value).startswith("f: tiers.t.fair_share.shares must ")
    assert str(raised.value).endswith(message)
    with pytest.raises(ClientError):
        parse(_wire(*shares))


@pytest.mark.parametrize(
    "shares", [["a"], ["A1*", "A2", "B"], ["*"], ["a" * 255], ["a" * 254 + "*"], ["user", "user2*"]]
)
def test_share_identifiers_that_aws_batch_takes_are_taken(shares: list[str]) -> None:
    parse_settings(_content(*shares), source="f")
    parse(_wire(*shares))


def test_an_editor_knows_what_a_share_identifier_is() -> None:
    schema = Settings.model_json_schema()["$defs"]["FairShareSettings"]["properties"]["shares"]
    pattern = re.compile(schema["propertyNames"]["pattern"])
    assert [bool(pattern.search(name)) for name in ("teamA*", "team", "team-a", "a**")] == [True] * 2 + [
        False
    ] * 2
    assert "additionalProperties" in json.loads(json.dumps(schema))
