"""Who may submit which jobs, as the settings say it."""

from typing import Any

import pytest

from batch_stack.settings.additions import with_job
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings
from batch_stack.settings.root import Settings
from batch_stack.settings.submitters import SubmitterSettings

JOBS = {
    "small": {"image": "busybox:1", "platform": "fargate"},
    "large": {"image": "busybox:1", "tiers": ["standard", "bulk"]},
}


def _settings(**submitter: Any) -> Settings:
    return parse_settings({"jobs": JOBS, "submitters": {"team": submitter}}, source="f")


def _refusal(**submitter: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        _settings(**submitter)
    return str(raised.value).removeprefix("f: submitters.team.")


def test_a_submitter_may_use_the_queues_of_the_job_less_those_it_does_not_name() -> None:
    anywhere, bulk = _settings(), _settings(tiers=["bulk"])
    assert [anywhere.tiers_for("team", job) for job in JOBS] == [["fargate"], ["standard", "bulk"]]
    assert [bulk.tiers_for("team", job) for job in JOBS] == [[], ["bulk"]]


@pytest.mark.parametrize(
    ("submitter", "message"),
    [
        ({"jobs": ["smal"]}, "jobs[0] must be one of small, large, got 'smal' (did you mean small?)"),
        (
            {"tiers": ["bulk", "fast"]},
            "tiers[1] must be one of critical, standard, bulk, fargate, got 'fast'",
        ),
        (
            {"jobs": ["large", "small"], "tiers": ["bulk"]},
            "jobs[1] must be one for submitters.team.tiers, got 'small', which is for fargate",
        ),
        (
            {"shares": ["red"], "tiers": ["bulk"]},
            "shares must not be given, because none of bulk has fair_share, got ['red']",
        ),
        (
            {"shares": ["re-d"]},
            "shares[0] must be a share identifier of letters and digits, the last of which may be *, "
            "got 're-d'",
        ),
        ({"jobs": ["small", "small"]}, "jobs[1] must differ from those before it, got 'small' again"),
        (
            {"roles": ["arn:aws:iam::123456789012:role/ci"]},
            "roles[0] must be the name of an IAM role of this account, without its path (not an ARN), "
            "got 'arn:aws:iam::123456789012:role/ci'",
        ),
        (
            {"roles": ["AWSReservedSSO_Dev_0123456789abcdef"]},
            "roles[0] must not be a role of IAM Identity Center, which only its permission set can change, "
            "got 'AWSReservedSSO_Dev_0123456789abcdef': name the policy, an output of the stack, there",
        ),
        (
            {"tags": {"aws:team": "video"}},
            "tags must have keys of 1 to 128 characters that do not begin with aws:, got 'aws:team'",
        ),
    ],
)
def test_what_could_not_be_granted_is_refused(submitter: dict[str, Any], message: str) -> None:
    assert _refusal(**submitter) == message


def test_shares_are_for_tiers_with_fair_share() -> None:
    tier = {"priority": 1, "compute": ["spot"], "fair_share": {"shares": {"red*": 1}}}
    content = {"tiers": {"t": tier}, "submitters": {"team": {"shares": ["red1", "red*"]}}}
    assert parse_settings(content, source="f").submitters["team"].shares == ["red1", "red*"]


def test_a_job_that_is_added_is_for_those_who_may_submit_all() -> None:
    added = with_job(_settings(tiers=["bulk"]), "more", JobSettings(image="busybox:1"))
    assert added.tiers_for("team", "more") == ["bulk"]


@pytest.mark.parametrize(
    ("shares", "tags", "place", "got"),
    [
        ([f"team{number:06}" for number in range(76)], {}, None, ""),
        ([f"team{number:06}" for number in range(77)], {}, "shares", "1001 of shares and 0 of tags"),
        ([], {"team": "v" * 256}, None, ""),
        ([], {"k" * 42: "v" * 256}, "tags", "0 of shares and 1004 of tags"),
        ([], {f"k{number}": "v" for number in range(50)}, "tags", "0 of shares and 4110 of tags"),
        (["s" * 97], {"team": "v" * 256}, None, ""),
        (["s" * 97, "t" * 50], {"team": "v" * 256}, "tags", "153 of shares and 852 of tags"),
    ],
)
def test_shares_and_tags_leave_a_policy_room_for_its_jobs(
    shares: list[str], tags: dict[str, str], place: str | None, got: str
) -> None:
    if place is None:
        made = SubmitterSettings(shares=shares, tags=tags)
        assert (made.shares, made.tags) == (shares, tags)
        return
    with pytest.raises(SettingsError) as raised:
        SubmitterSettings(shares=shares, tags=tags)
    message = str(raised.value)
    assert message.startswith(
        f"SubmitterSettings: {place} must leave room for eight jobs in a policy, of which IAM"
    )
    assert f" together, got {got}, " in message
