"""Images, repositories, tags and users of jobs: what is taken, and what is refused in which words."""

from typing import Any

import pytest

from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings
from batch_stack.settings.jobs import JobSettings

DIGEST = "sha256:" + "0f" * 32
TOKEN = "${Token[AWS.AccountId.4]}"
IMAGES = (
    "an image of at most 255 characters, with a tag or a digest: busybox:1.37, quay.io/team/tool:2, "
    "team/tool@sha256:..."
)
REPOSITORIES = (
    "the name of an ECR repository (lower-case letters, digits and -_./, such as team/tool; its tag goes "
    "under `tag`) or its ARN"
)
TAGS = "a tag of at most 128 letters, digits and _.-, or a digest (sha256: and 64 hexadecimal digits)"
USERS = "user or user:group, each a name or a number: app, 1000, 1000:1000"


@pytest.mark.parametrize(
    "image",
    [
        "busybox",
        "busybox:1.37",
        "team/tool@" + DIGEST,
        "team/tool:1.4@" + DIGEST,
        "quay.io/biocontainers/bwa:0.7.17--h5bf99c6_8",
        "localhost/tool",
        "localhost:5000/tool:2",
        "registry:5000/a/b/c_d__e-f.g:V1.0_x",
        "Registry.Example.com:443/tool",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/tool:1",
        "public.ecr.aws/docker/library/busybox:1.37",
        f"{TOKEN}.dkr.ecr.eu-west-1.amazonaws.com/team/tool:1",
        "a" * 255,
    ],
)
def test_images_of_any_registry_are_taken(image: str) -> None:
    assert JobSettings(image=image).image == image


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"image": image}, f"image must be {IMAGES}, got {image!r}")
        for image in (
            "my image",
            "the latest busybox please",
            "busybox:",
            "busybox:1:2",
            "Team/tool",
            "team//tool",
            "/tool",
            "tool/",
            "team/Tool:1",
            "https://quay.io/team/tool",
            "tool@sha256:0f",
            "tool:" + "x" * 129,
            "a" * 256,
            "arn:aws:ecr:eu-west-1:123456789012:repository/tool",
        )
    ]
    + [
        ({"ecr_repository": name}, f"ecr_repository must be {REPOSITORIES}, got {name!r}")
        for name in (
            "our tools",
            "t",
            "Team/tool",
            "team/tool:1.4",
            "team/tool/",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/tool:1",
            "arn:aws:s3:::tool",
            "arn:aws:ecr:eu-west-1:123456789012:repository/",
            "t" * 321,
        )
    ]
    + [
        ({"ecr_repository": "team/tool", "tag": tag}, f"tag must be {TAGS}, got {tag!r}")
        for tag in ("the newest", ".1", "x" * 129, "sha256:12", "a:b")
    ]
    + [
        ({"image": "tool", "user": user}, f"user must be {USERS}, got {user!r}")
        for user in ("the user", "1000:", ":1000", "a:b:c", "-1", "root;")
    ]
    + [
        (
            {"image": "tool", "user": user},
            f"user must have numbers between 0 and 2147483647, got {user!r}",
        )
        for user in ("2147483648", "app:4294967295")
    ],
)
def test_free_text_is_refused(job: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as raised:
        parse_settings({"jobs": {"j": job}}, source="f")
    assert str(raised.value) == f"f: jobs.j.{message}"


@pytest.mark.parametrize(
    "job",
    [
        {"ecr_repository": "tool"},
        {"ecr_repository": "team/sub_tool/x--y.z", "tag": "_1.4-a"},
        {"ecr_repository": "tool", "tag": DIGEST},
        {"ecr_repository": "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/tool", "tag": "1"},
        {"ecr_repository": TOKEN, "tag": TOKEN},
        {"image": "tool", "user": "app"},
        {"image": "tool", "user": "1000"},
        {"image": "tool", "user": "0:0"},
        {"image": "tool", "user": "www-data:2147483647"},
        {"image": "tool", "user": "_app.x:staff"},
    ],
)
def test_repositories_tags_and_users_are_taken(job: dict[str, Any]) -> None:
    settings = parse_settings({"jobs": {"j": job}}, source="f").jobs["j"]
    assert {name: getattr(settings, name) for name in job} == job


def test_a_timeout_is_as_long_as_aws_batch_can_count() -> None:
    assert JobSettings(image="tool", timeout_s=2**31 - 1).timeout_s == 2_147_483_647
    with pytest.raises(SettingsError, match=r"^f: jobs\.j\.timeout_s must be a whole number between 60 and "):
        parse_settings({"jobs": {"j": {"image": "tool", "timeout_s": 2**31}}}, source="f")
