"""The job definitions: container, retries, timeout, log, image."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings

pytestmark = pytest.mark.stack

OfType = Callable[[str], dict[str, dict[str, Any]]]


@pytest.fixture
def media(of_type: OfType) -> dict[str, Any]:
    (definition,) = of_type("AWS::Batch::JobDefinition").values()
    return definition["Properties"]


def _variant_definition(variant: dict[str, Any], platform: str) -> dict[str, Any]:
    (definition,) = (
        r["Properties"]
        for r in variant["Resources"].values()
        if r["Type"] == "AWS::Batch::JobDefinition" and r["Properties"]["PlatformCapabilities"] == [platform]
    )
    return definition


def _requirements(definition: dict[str, Any]) -> dict[str, str]:
    entries = definition["ContainerProperties"]["ResourceRequirements"]
    return {entry["Type"]: entry["Value"] for entry in entries}


def _environment(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["Name"]: entry["Value"] for entry in container["Environment"]}


def test_media_runs_on_ec2_with_its_resources_and_timeout(media: dict[str, Any]) -> None:
    assert media["PlatformCapabilities"] == ["EC2"]
    assert _requirements(media) == {"VCPU": "1", "MEMORY": "2048"}
    assert media["Timeout"] == {"AttemptDurationSeconds": 900}
    assert media["ContainerProperties"]["Command"] == ["--input", "Ref::input", "--output", "Ref::output"]


def test_old_revisions_stay_active(media: dict[str, Any]) -> None:
    assert media["ResourceRetentionPolicy"] == {"SkipDeregisterOnUpdate": True}
    assert "JobDefinitionName" not in media


def test_the_platforms_faults_are_retried_and_the_workers_are_not(
    media: dict[str, Any], variant: dict[str, Any]
) -> None:
    shared = [
        {"Action": "RETRY", "OnReason": "CannotPullContainerError:*"},
        {"Action": "RETRY", "OnStatusReason": "Task failed to start*"},
        {"Action": "RETRY", "OnExitCode": "75"},
        {"Action": "EXIT", "OnReason": "*"},
    ]
    assert media["RetryStrategy"] == {
        "Attempts": 3,
        "EvaluateOnExit": [{"Action": "RETRY", "OnStatusReason": "Host EC2*"}, *shared],
    }
    assert _variant_definition(variant, "FARGATE")["RetryStrategy"]["EvaluateOnExit"] == [
        {"Action": "RETRY", "OnStatusReason": "Your Spot Task was interrupted*"},
        *shared,
    ]


def test_attempts_follow_the_tier_unless_the_job_says_otherwise(variant: dict[str, Any]) -> None:
    assert _variant_definition(variant, "EC2")["RetryStrategy"]["Attempts"] == 5
    assert _variant_definition(variant, "FARGATE")["RetryStrategy"]["Attempts"] == 3


def test_the_container_is_locked_down_and_has_scratch_space(
    media: dict[str, Any], variant: dict[str, Any]
) -> None:
    for definition in (media, _variant_definition(variant, "FARGATE")):
        container = definition["ContainerProperties"]
        assert container["ReadonlyRootFilesystem"] is True
        assert container.get("Privileged", False) is False
        assert container["LinuxParameters"] == {"InitProcessEnabled": True}
        assert container["Volumes"] == [{"Name": "scratch", "Host": {}}]
        mount = {"ContainerPath": "/scratch", "ReadOnly": False, "SourceVolume": "scratch"}
        assert container["MountPoints"] == [mount]


def test_the_container_knows_its_region(media: dict[str, Any], variant: dict[str, Any]) -> None:
    region = {"Ref": "AWS::Region"}
    for definition in (media, _variant_definition(variant, "FARGATE")):
        environment = _environment(definition["ContainerProperties"])
        assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == region


def test_the_container_knows_the_platforms_buckets_and_has_variables_of_its_own(
    media: dict[str, Any], variant: dict[str, Any]
) -> None:
    default = _environment(media["ContainerProperties"])
    quick = _environment(_variant_definition(variant, "FARGATE")["ContainerProperties"])
    assert default["INPUT_BUCKET"]["Ref"].startswith("StorageInput")
    assert default["OUTPUT_BUCKET"]["Ref"].startswith("StorageOutput")
    assert "MODE" not in default
    assert quick["MODE"] == "quick"


def test_the_log_goes_to_a_group_of_its_own(media: dict[str, Any], template: dict[str, Any]) -> None:
    configuration = media["ContainerProperties"]["LogConfiguration"]
    assert configuration["LogDriver"] == "awslogs"
    assert configuration["Options"]["awslogs-stream-prefix"] == "media"
    group = template["Resources"][configuration["Options"]["awslogs-group"]["Ref"]]
    assert group["Type"] == "AWS::Logs::LogGroup"
    assert group["Properties"]["RetentionInDays"] == 30


def test_a_fargate_job_has_what_fargate_needs(variant: dict[str, Any]) -> None:
    definition = _variant_definition(variant, "FARGATE")
    container = definition["ContainerProperties"]
    assert container["NetworkConfiguration"] == {"AssignPublicIp": "ENABLED"}
    assert container["FargatePlatformConfiguration"] == {"PlatformVersion": "LATEST"}
    assert container["RuntimePlatform"] == {"CpuArchitecture": "X86_64", "OperatingSystemFamily": "LINUX"}
    assert "ExecutionRoleArn" in container
    assert _requirements(definition) == {"VCPU": "0.25", "MEMORY": "512"}


def test_a_folder_without_a_dockerfile_is_a_settings_error(
    new_app: Callable[[], Any], tmp_path: Path
) -> None:
    settings = parse_settings({"jobs": {"resize": {"folder": "nowhere"}}}, source="test")
    expected = f"jobs.resize.folder must be a folder of {tmp_path} with a Dockerfile, got 'nowhere'"
    with pytest.raises(SettingsError) as raised:
        batch_stack.BatchStack(new_app(), "refused", settings=settings, containers_dir=tmp_path)
    assert str(raised.value) == expected


def test_all_folders_that_are_missing_are_named_with_those_that_are_close(
    new_app: Callable[[], Any], tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    (tmp_path / "media/Dockerfile").write_text("FROM scratch\n")
    jobs = {"a": {"folder": "medai"}, "b": {"folder": "media"}, "c": {"folder": "zzz"}}
    settings = parse_settings({"jobs": jobs}, source="test")
    with pytest.raises(SettingsError) as raised:
        batch_stack.BatchStack(new_app(), "refused", settings=settings, containers_dir=tmp_path)
    first, second = str(raised.value).splitlines()
    assert first.endswith("with a Dockerfile, got 'medai' (did you mean media?)")
    assert second == f"  jobs.c.folder must be a folder of {tmp_path} with a Dockerfile, got 'zzz'"


def test_only_the_workers_own_files_are_in_its_image(new_app: Callable[[], Any], tmp_path: Path) -> None:
    files = ["batch_worker/run.py", "media/Dockerfile", "media/work.py", "other/Dockerfile", "other/work.py"]
    left_out = ["media/__pycache__/work.pyc", "media/tests/test_work.py", "media/sample/a.png"]
    for name in files + left_out:
        path = tmp_path / "containers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("FROM scratch\n")
    app = new_app()
    settings = parse_settings({"jobs": {"media": {"folder": "media"}}}, source="test")
    batch_stack.BatchStack(app, "image", settings=settings, containers_dir=tmp_path / "containers")

    assembly = Path(app.synth().directory)

    (asset,) = (path for path in assembly.glob("asset.*") if (path / "media").is_dir())
    staged = sorted(path.relative_to(asset).as_posix() for path in asset.rglob("*") if path.is_file())
    assert staged == ["batch_worker/run.py", "media/Dockerfile", "media/work.py"]


def test_a_folder_without_a_place_to_look_for_it_is_a_settings_error(new_app: Callable[[], Any]) -> None:
    settings = parse_settings({"jobs": {"resize": {"folder": "media"}}}, source="test")
    with pytest.raises(SettingsError) as raised:
        batch_stack.BatchStack(new_app(), "refused", settings=settings)
    assert str(raised.value) == (
        "jobs.resize.folder must not be given without containers_dir, the folder that holds it, got 'media'"
    )
