"""Settings of jobs, their volumes and secrets, and of triggers: what is refused, and in which words."""

from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.nodes import NodesSettings
from batch_stack.settings.root import Settings

IMAGE = "busybox:1.37"


def _settings(job: dict[str, Any], **others: Any) -> Settings:
    return parse_settings({"jobs": {"solve": {"image": IMAGE, **job}}, **others}, source="f")


def _refusal(job: dict[str, Any], **others: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        _settings(job, **others)
    return str(raised.value).removeprefix("f: jobs.solve").removeprefix(".")


ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCd12"
PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/db"
SECRETS = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX"
PARAMETERS = "arn:aws:ssm:REGION:ACCOUNT:parameter/NAME"


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        (
            {"secret": "db-master"},
            "secret must be an ARN if its name ends in a hyphen and six characters "
            "(arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX), got 'db-master'",
        ),
        (
            {"secret": f"{ARN}:password::"},
            f"secret must be a name or the ARN of a secret, {SECRETS}, without a key (which is `field`) or a "
            f"version, got '{ARN}:password::'",
        ),
        (
            {"secret": "arn:aws:s3:::bucket"},
            f"secret must be a name or the ARN of a secret, {SECRETS}, without a key (which is `field`) or a "
            "version, got 'arn:aws:s3:::bucket'",
        ),
        (
            {"parameter": "arn:aws:s3:::bucket"},
            f"parameter must be a name (letters, digits and _.-/) or the ARN of a parameter, {PARAMETERS}, "
            "without a version, got 'arn:aws:s3:::bucket'",
        ),
        (
            {"secret": PARAMETER},
            f"secret must be a name or the ARN of a secret, {SECRETS}, without a key (which is `field`) or a "
            f"version, got '{PARAMETER}': write `parameter:` for it",
        ),
        (
            {"parameter": ARN},
            f"parameter must be a name (letters, digits and _.-/) or the ARN of a parameter, {PARAMETERS}, "
            f"without a version, got '{ARN}': write `secret:` for it",
        ),
        ({"secret": "db", "field": "a:b"}, "field must be a key of a JSON object, got 'a:b'"),
        ({"secret": "db", "parameter": "db"}, "secret or parameter must be given, one of the two"),
        (
            {"parameter": "db", "field": "password"},
            "field must not be given without secret, got 'password'",
        ),
    ],
)
def test_a_secret_that_could_not_be_read_is_refused(secret: dict[str, str], message: str) -> None:
    assert _refusal({"secrets": {"PASSWORD": secret}}) == f"secrets.PASSWORD.{message}"


@pytest.mark.parametrize(
    "secret",
    [
        {"secret": "db", "field": "password"},
        {"secret": "team/db-main"},
        {"secret": ARN, "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/mrk-{}".format("1" * 32)},
        {"parameter": "/team/db"},
        {"parameter": "arn:aws:ssm:eu-west-1:123456789012:parameter/team/db"},
    ],
)
def test_names_and_arns_are_taken(secret: dict[str, str]) -> None:
    assert _settings({"secrets": {"PASSWORD": secret}}).jobs["solve"].secrets["PASSWORD"]


S3_FILES = "arn:aws:s3files:us-east-1:123456789012:file-system/fs-1"


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        (
            {
                "one": {"type": "host", "path": "/data", "host_path": "/mnt/1"},
                "two": {"type": "host", "path": "/data/", "host_path": "/mnt/2"},
            },
            "volumes.two.path must differ from that of volumes.one, got '/data/'",
        ),
        (
            {"scratch": {"type": "host", "path": "/data", "host_path": "/mnt"}},
            "volumes must have names of lower-case letters, digits and single hyphens or underscores, "
            "other than 'scratch' unless its path is /scratch, got 'scratch'",
        ),
        (
            {"Data": {"type": "host", "path": "/data", "host_path": "/mnt"}},
            "volumes must have names of lower-case letters, digits and single hyphens or underscores, "
            "other than 'scratch' unless its path is /scratch, got 'Data'",
        ),
        (
            {"data": {"type": "efs", "path": "/data", "access_point": "x", "file_system_id": "fs-1"}},
            "volumes.data.access_point must be the id of an access point (fsap-0a1b...) with "
            "file_system_id, got 'x'",
        ),
        (
            {
                "data": {
                    "type": "s3_files",
                    "path": "/data",
                    "file_system_arn": S3_FILES,
                    "access_point_arn": f"{S3_FILES}/access-point/fsap-1",
                    "root_directory": "/a",
                }
            },
            "volumes.data.root_directory must not be given with access_point_arn, got '/a': "
            "the access point says where its root is",
        ),
    ],
)
def test_volumes_that_cannot_be_mounted_are_refused(volumes: dict[str, Any], message: str) -> None:
    assert _refusal({"volumes": volumes}) == message


def test_file_systems_elsewhere_become_constructs_of_different_names() -> None:
    elsewhere = {"type": "efs", "file_system_id": "fs-1", "access_point": "fsap-1"}
    host = {"type": "host", "host_path": "/mnt"}
    volumes = {"a-b": {**elsewhere, "path": "/a"}, "a_b": {**elsewhere, "path": "/b"}}
    assert _refusal({"volumes": volumes}) == (
        "volumes must have names that differ in more than hyphens and underscores where they have "
        "file_system_id, got 'a-b' and 'a_b': both become AB"
    )
    volumes["a_b"] = {**host, "path": "/b"}
    assert list(_settings({"volumes": volumes}).jobs["solve"].volumes) == ["a-b", "a_b"]


def test_a_volume_may_take_the_place_of_the_scratch_space() -> None:
    nvme = {"type": "host", "path": "/scratch", "host_path": "/scratch"}
    assert _settings({"volumes": {"scratch": nvme}}).jobs["solve"].volumes["scratch"].path == "/scratch"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"count": 4, "main": 4}, "main must be between 0 and 3, got 4"),
        (
            {"count": 4, "groups": [{"nodes": "2:4"}]},
            "groups[0].nodes must be within 0:3, the first not above the last, got '2:4'",
        ),
        (
            {"count": 4, "groups": [{"nodes": "3:1"}]},
            "groups[0].nodes must be within 0:3, the first not above the last, got '3:1'",
        ),
        (
            {"count": 4, "groups": [{"nodes": "4:"}]},
            "groups[0].nodes must be within 0:3, the first not above the last, got '4:'",
        ),
        (
            {"count": 4, "groups": [{"nodes": "0:1"}, {"nodes": "1:"}]},
            "groups[1].nodes must not overlap '0:1', got '1:'",
        ),
        ({"count": 1}, "count must be a whole number between 2 and 1000, got 1"),
        (
            {"count": 9, "groups": [{"nodes": str(n)} for n in range(5)]},
            "groups must have at most 4 entries, got 5",
        ),
    ],
)
def test_groups_are_of_nodes_that_exist_and_only_of_one_group(nodes: dict[str, Any], message: str) -> None:
    assert _refusal({"nodes": nodes}) == f"nodes.{message}"


@pytest.mark.parametrize(
    ("nodes", "bounds"), [("2", (2, 2)), ("0:3", (0, 3)), ("4:", (4, 7)), ("7:", (7, 7))]
)
def test_the_bounds_of_a_group_are_counted_from_0(nodes: str, bounds: tuple[int, int]) -> None:
    settings = NodesSettings.model_validate({"count": 8, "groups": [{"nodes": nodes}]})
    assert settings.bounds(settings.groups[0]) == bounds


def test_a_job_of_several_nodes_goes_to_no_tier_with_spot() -> None:
    nodes = {"nodes": {"count": 2}}
    assert _settings(nodes).tiers_of("solve") == ["critical"]
    assert _refusal({**nodes, "tiers": ["bulk"]}) == (
        "tiers[0] must be one of critical, because jobs.solve.nodes cannot run on spot compute (spot), "
        "got 'bulk'"
    )
    assert _refusal(nodes, triggers={"new": {"job": "solve", "tier": "standard"}}) == (
        "f: triggers.new.tier must be one of critical, because jobs.solve.nodes cannot run on spot compute "
        "(spot), got 'standard'"
    )


def test_a_job_that_no_tier_can_run_is_refused() -> None:
    with pytest.raises(SettingsError) as raised:
        _settings({"platform": "managed_instances"})
    assert str(raised.value) == (
        "f: jobs.solve must be one that a tier can run, got jobs.solve.platform is managed_instances"
    )


def test_a_job_cannot_need_more_than_there_is() -> None:
    there_is = {"consumable_resources": {"seats": {"total": 3}}}
    assert _settings({"consumable_resources": {"seats": 3}}, **there_is)
    assert _refusal({"consumable_resources": {"seats": 4}}, **there_is) == (
        "consumable_resources.seats must be at most 3, because there are 3, got 4"
    )
    of_two_nodes = {"consumable_resources": {"seats": 2}, "nodes": {"count": 2}}
    assert _refusal(of_two_nodes, **there_is) == (
        "consumable_resources.seats must be at most 1, because there are 3 for 2 nodes, got 2"
    )


@pytest.mark.parametrize(
    ("trigger", "message"),
    [
        ({"parameters": {"output": "s3://x/"}}, "parameters must not set 'output', which the trigger sets"),
        (
            {"output_prefix": "/a/"},
            "output_prefix must be a prefix of keys that ends in /, and begins with none, got '/a/'",
        ),
        (
            {"output_prefix": "a"},
            "output_prefix must be a prefix of keys that ends in /, and begins with none, got 'a'",
        ),
    ],
)
def test_a_trigger_keeps_to_its_own_parameters_and_folders(trigger: dict[str, Any], message: str) -> None:
    refusal = _refusal({}, triggers={"new": {"job": "solve", **trigger}})
    assert refusal == f"f: triggers.new.{message}"


@pytest.mark.parametrize(
    ("ulimits", "message"),
    [
        ({"nofiles": 1}, "ulimits must name one of core, cpu, "),
        ({"nofile": -2}, "ulimits.nofile must be a whole number of at least -1, got -2"),
    ],
)
def test_ulimits_are_those_that_aws_batch_knows(ulimits: dict[str, int], message: str) -> None:
    assert _refusal({"ulimits": ulimits}).startswith(message)
    assert _settings({"ulimits": {"nofile": 65536}}).jobs["solve"].ulimits == {"nofile": 65536}


def test_ulimits_are_refused_on_fargate() -> None:
    fargate = {"platform": "fargate", "vcpu": 1, "memory_mib": 2048, "ulimits": {"nofile": 65536}}

    assert _refusal(fargate) == "ulimits must not be given on fargate, got {'nofile': 65536}"


@pytest.mark.parametrize(
    ("job", "most_mib"),
    [
        ({}, 2048),
        ({"nodes": {"count": 2, "groups": [{"nodes": "0", "memory_mib": 1024}]}}, 1024),
    ],
    ids=["a container", "nodes"],
)
def test_shared_memory_is_part_of_the_memory(job: dict[str, Any], most_mib: int) -> None:
    assert _refusal({**job, "memory_mib": 2048, "shared_memory_mib": most_mib + 1}) == (
        f"shared_memory_mib must be at most memory_mib, which is {most_mib} and which it is part of, "
        f"got {most_mib + 1}"
    )
    kept = _settings({**job, "memory_mib": 2048, "shared_memory_mib": most_mib})
    assert kept.jobs["solve"].shared_memory_mib == most_mib


@pytest.mark.parametrize(
    ("uses", "sections", "message"),
    [
        (
            ["input_bucket", "database"],
            {"results": {"job_table": True}},
            "uses[1] must be one of input_bucket, output_bucket, job_table, which the platform has, got "
            "'database', which results.database would add",
        ),
        (
            ["scratch_bucket"],
            {},
            "uses[0] must be one of input_bucket, output_bucket, which the platform has, got "
            "'scratch_bucket', which storage.scratch_expiry_days would add",
        ),
        (
            ["work_queue"],
            {"messaging": {"event_bus": True}},
            "uses[0] must be one of input_bucket, output_bucket, event_bus, which the platform has, got "
            "'work_queue', which messaging.work_queue would add",
        ),
        (
            ["bucket"],
            {},
            "uses[0] must be one of input_bucket, output_bucket, scratch_bucket, job_table, database, "
            "event_bus, work_queue, got 'bucket'",
        ),
        (
            ["input_bucket", "input_bucket"],
            {},
            "uses[1] must differ from those before it, got 'input_bucket' again",
        ),
    ],
)
def test_a_job_uses_what_the_platform_has(uses: list[str], sections: dict[str, Any], message: str) -> None:
    assert _refusal({"uses": uses}, **sections) == message


def test_a_service_is_used_by_the_jobs_that_name_it() -> None:
    everything = {
        "storage": {"scratch_expiry_days": 1},
        "results": {"job_table": True, "database": {}},
        "messaging": {"event_bus": True, "work_queue": True},
    }
    services = ["scratch_bucket", "job_table", "database", "event_bus", "work_queue"]
    assert _settings({"uses": services}, **everything).jobs["solve"].uses == services
    assert _settings({}, **everything).jobs["solve"].uses == ["input_bucket", "output_bucket"]
    assert _settings({"uses": []}).jobs["solve"].uses == []
