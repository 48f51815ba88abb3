"""Settings that AWS would only refuse at deployment, or take and then not heed, are refused here."""

from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.root import Settings

IMAGE = "busybox:1.37"
JOB = {"image": IMAGE}
TOKEN = "${Token[TOKEN.42]}"


def _refusal(content: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as raised:
        parse_settings(content, source="f")
    return str(raised.value).removeprefix("f: ")


def _job(**settings: Any) -> dict[str, Any]:
    return {"jobs": {"j": {**JOB, **settings}}}


def _volume(path: str) -> dict[str, Any]:
    return _job(volumes={"v": {"type": "host", "host_path": "/mnt", "path": path}})


def _existing(arn: str) -> dict[str, Any]:
    return {
        "compute": {"c": {"type": "existing", "arn": arn}},
        "tiers": {"t": {"priority": 1, "compute": ["c"]}},
    }


ACCESS_POINT = (
    "storage.file_system.access_points.p.path must be an absolute path of at most four levels and 100 "
    "characters, without spaces, and none of whose levels begins with a point"
)


def _access_point(path: str) -> dict[str, Any]:
    return {"storage": {"file_system": {"access_points": {"p": {"path": path}}}}}


NODES = {"count": 2, "groups": [{"nodes": "1", "environment": {"A": "1"}}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            _existing("arn:aws:batch:us-east-1:123456789012:job-queue/q"),
            "compute.c.arn must be the ARN of a compute environment, "
            "got 'arn:aws:batch:us-east-1:123456789012:job-queue/q'",
        ),
        (
            _job(managed_policy_arns=["arn:aws:s3:::b"]),
            "jobs.j.managed_policy_arns[0] must be the ARN of a managed policy of IAM, got 'arn:aws:s3:::b'",
        ),
        (
            _job(secrets={"S": {"secret": "db", "kms_key_arn": "arn:aws:kms:r:123456789012:alias/k"}}),
            "jobs.j.secrets.S.kms_key_arn must be the ARN of a KMS key (not of an alias), "
            "got 'arn:aws:kms:r:123456789012:alias/k'",
        ),
        (
            _access_point("/a/b/c/d/e"),
            f"{ACCESS_POINT}, got '/a/b/c/d/e'",
        ),
        (
            _access_point(f"/{'a' * 100}"),
            f"{ACCESS_POINT}, got '/{'a' * 100}'",
        ),
        (
            _access_point("/a/.b"),
            f"{ACCESS_POINT}, got '/a/.b'",
        ),
        (
            {"results": {"database": {"name": "rdsadmin"}}},
            "results.database.name must be one that RDS takes, got 'rdsadmin', which is PostgreSQL's or "
            "RDS's own",
        ),
        (
            {"results": {"database": {"name": "user"}}},
            "results.database.name must be one that RDS takes, got 'user', which is a key word of SQL",
        ),
        (
            _job(consumable_resources={"arn:aws:s3:::b": 1}),
            "jobs.j.consumable_resources must name one of (none defined), or an ARN, got 'arn:aws:s3:::b'",
        ),
        (
            _job(secrets={"S": {"secret": TOKEN}}),
            "jobs.j.secrets.S.secret must be a name (letters, digits and /_+=.@-) or the ARN of a secret, "
            f"got {TOKEN!r}",
        ),
        (
            _job(secrets={"S": {"parameter": "a b"}}),
            "jobs.j.secrets.S.parameter must be a name (letters, digits and _.-/) or the ARN of a parameter, "
            "arn:aws:ssm:REGION:ACCOUNT:parameter/NAME, without a version, got 'a b'",
        ),
        (
            _job(environment={"A=B": "c"}),
            "jobs.j.environment must have names without white space and equals signs, got 'A=B'",
        ),
        (
            _job(secrets={"": {"secret": "db"}}),
            "jobs.j.secrets must have names without white space and equals signs, got ''",
        ),
        (
            _job(nodes=NODES, secrets={"A": {"secret": "db"}}),
            "jobs.j.secrets must not set 'A', which nodes.groups[0].environment sets too",
        ),
        (
            _job(nodes={"count": 2, "groups": [{"nodes": "1", "vcpu": 0.5}]}),
            "jobs.j.nodes.groups[0].vcpu must be a whole number of at least 1, got 0.5",
        ),
        (_volume("//"), "jobs.j.volumes.v.path must not be the root of the container, got '//'"),
        (_job(tag="1.4"), "jobs.j.tag must not be given without ecr_repository, got '1.4'"),
        (
            {"compute": {"spot": {"type": "on_demand", "placement_zone": 2}}},
            "compute.spot.placement_zone must not be given without placement_group, got 2",
        ),
        (
            {
                "network": {"mode": "public", "cidr": "172.16.0.0/16"},
                "notifications": {"emails": ["a@b"] * 2},
            },
            "notifications.emails[1] must differ from those before it, got 'a@b'",
        ),
        (
            {"network": {"mode": "public", "cidr": "172.17.16.0/20"}},
            "network.cidr must not overlap 172.17.0.0/16, which Docker uses on every container instance: "
            "they would not reach the network, got '172.17.16.0/20'",
        ),
    ],
)
def test_what_could_not_be_deployed_is_refused(content: dict[str, Any], message: str) -> None:
    assert _refusal(content) == message


def test_in_python_an_arn_may_be_a_token() -> None:
    content = {
        **_existing(TOKEN),
        **_job(
            managed_policy_arns=[TOKEN],
            secrets={"S": {"secret": "db", "kms_key_arn": TOKEN}},
        ),
    }
    settings = Settings.model_validate(content)
    assert settings.jobs["j"].managed_policy_arns == [TOKEN]


ARM = {
    "compute": {"x": {"type": "spot"}, "g": {"type": "spot", "instance_types": ["c7g", "m7g"]}},
    "tiers": {"standard": {"priority": 1, "compute": ["x"]}, "arm": {"priority": 2, "compute": ["g"]}},
}
BUILT = {"folder": "media"}
FARGATE = {
    "compute": {"x": {"type": "spot"}, "f": {"type": "fargate"}},
    "tiers": {"standard": {"priority": 1, "compute": ["x"]}, "fargate": {"priority": 2, "compute": ["f"]}},
}


def test_a_job_whose_image_is_built_runs_on_the_architecture_that_it_is_built_for() -> None:
    built = parse_settings({**ARM, "jobs": {"j": BUILT, "g": {**BUILT, "tiers": ["arm"]}}}, source="f")
    assert (built.tiers_of("j"), built.tiers_of("g")) == (["standard"], ["arm"])
    # An image of a registry may be of several, and its definition does not say which.
    named = parse_settings({**ARM, **_job(tiers=["arm", "standard"])}, source="f")
    assert named.tiers_of("j") == ["arm", "standard"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"jobs": {"j": {**BUILT, "tiers": ["arm", "standard"]}}},
            "jobs.j.tiers[1] must be one of arm, because jobs.j is made for arm64, as its first tier, "
            "tiers.arm, is (see jobs.j.tiers), got 'standard'",
        ),
        (
            {"jobs": {"j": {**BUILT, "tiers": ["fargate"]}}, **FARGATE},
            "jobs.j.tiers[0] must be one of standard, because jobs.j.platform is ec2, got 'fargate'",
        ),
        (
            {"jobs": {"j": BUILT}, "triggers": {"t": {"job": "j", "tier": "arm"}}},
            "triggers.t.tier must be one of standard, because jobs.j is made for x86_64, as its first tier, "
            "tiers.standard, is (see jobs.j.tiers), got 'arm'",
        ),
    ],
)
def test_an_image_of_one_architecture_is_not_sent_to_another(content: dict[str, Any], message: str) -> None:
    assert _refusal({**ARM, **content}) == message


@pytest.mark.parametrize("path", ["/", "/a", "/a/b/c/d", f"/{'a' * 99}", "/re-f_1.2/x"])
def test_folders_of_access_points_that_efs_takes_are_taken(path: str) -> None:
    parse_settings(_access_point(path), source="f")
