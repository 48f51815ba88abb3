"""From a job to what the runner is told: volumes, limits, user, secrets."""

import os
import pwd
from types import SimpleNamespace

import pytest

from batch_engine.local.base import process_image
from batch_engine.local.base.dockerfile import ImageConfig
from batch_engine.local.base.launch import NoSecrets, Places, StartError, launch_message, resolve_secrets
from batch_engine.local.base.ports import ClientError
from batch_engine.local.engine.runtime_choice import choose
from batch_engine.local.runtimes.protocol import RuntimeUnavailableError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")


def job(**container):
    attempt = SimpleNamespace(number=2)
    given = {"image": "i", "command": ["run"], "environment": [], **container}
    return SimpleNamespace(id="job", attempt=attempt, memory_mib=3, container=given)


def message(tmp_path, configuration=None, **container):
    places = Places(str(tmp_path / "job-2"), str(tmp_path / "job-2.log"), tmp_path / "shared")
    return launch_message(job(**container), configuration, {"A": "b"}, places)


def mounted(tmp_path, volume, **mount):
    point = {"sourceVolume": "v", "containerPath": "/data", **mount}
    made = message(tmp_path, volumes=[{"name": "v", **volume}], mountPoints=[point])
    return None if made["setup"] is None else made["setup"]["mounts"]


def test_plain_job(tmp_path):
    made = message(tmp_path)
    assert (made["key"], made["argv"], made["env"]) == (("job", 2), ["run"], {"A": "b"})
    assert (made["memory_bytes"], made["setup"]) == (3 * 1024 * 1024, None)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"A": "\ud800"}, "environment variable 'A' holds a lone surrogate"),
        ({"A": "\0"}, "environment variable 'A' holds a null byte"),
        ({"A=": "b"}, "environment variable 'A=' needs a name without an equals sign"),
    ],
)
def test_secrets_that_no_program_can_be_given(tmp_path, variables, reason):
    places = Places(str(tmp_path / "job-2"), str(tmp_path / "job-2.log"), tmp_path / "shared")
    with pytest.raises(StartError, match=reason):
        launch_message(job(), None, variables, places)


def test_entrypoint_and_command_of_the_image(tmp_path):
    image = ImageConfig(("tool",), ("by-default",))
    assert message(tmp_path, image)["argv"] == ["tool", "run"]
    assert message(tmp_path, image, command=[])["argv"] == ["tool", "by-default"]
    with pytest.raises(StartError, match="no command specified, and image i is not among"):
        message(tmp_path, command=[])


def test_volume_without_a_source_is_an_empty_folder_of_the_attempt(tmp_path):
    assert mounted(tmp_path, {}) == [(str(tmp_path / "job-2/volumes/v"), "/data", False, True)]


def test_host_volume(tmp_path):
    source = str(tmp_path)
    assert mounted(tmp_path, {"host": {"sourcePath": source}}) == [(source, "/data", False, False)]
    assert mounted(tmp_path, {"host": {"sourcePath": source}}, containerPath=source) is None
    assert mounted(tmp_path, {"host": {"sourcePath": source}}, readOnly=True)[0][2] is True
    with pytest.raises(StartError, match="host path /absent does not exist on this machine"):
        mounted(tmp_path, {"host": {"sourcePath": "/absent"}})


@pytest.mark.parametrize(
    ("volume", "folder"),
    [
        ({"efsVolumeConfiguration": {"fileSystemId": "fs-1"}}, "fs-1"),
        ({"efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/a/b"}}, "fs-1/a/b"),
        (
            {
                "efsVolumeConfiguration": {
                    "fileSystemId": "fs-1",
                    "authorizationConfig": {"accessPointId": "fsap-1"},
                }
            },
            "fs-1/access-points/fsap-1",
        ),
        ({"s3filesVolumeConfiguration": {"fileSystemArn": "arn:aws:s3files:::file-system/fs-2"}}, "fs-2"),
    ],
)
def test_file_system_is_a_folder_that_outlives_jobs(tmp_path, volume, folder):
    (mount,) = mounted(tmp_path, volume)
    assert mount == (str(tmp_path / "shared" / folder), "/data", False, False)
    assert (tmp_path / "shared" / folder).is_dir()


def test_root_directory_cannot_leave_its_file_system(tmp_path):
    with pytest.raises(StartError, match="leaves its file system"):
        mounted(tmp_path, {"efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/../fs-2"}})


@pytest.mark.parametrize("file_system", ["..", ".", "fs-1/"])
def test_a_file_system_is_never_the_folder_that_holds_them_all(tmp_path, file_system):
    with pytest.raises(StartError, match="is not the id of a file system"):
        mounted(tmp_path, {"efsVolumeConfiguration": {"fileSystemId": file_system}})


def test_tmpfs_and_ulimits(tmp_path):
    limits = [{"name": "nofile", "softLimit": 10, "hardLimit": 20}]
    tmpfs = [{"containerPath": "/run/x", "size": 1}]
    setup = message(tmp_path, ulimits=limits, linuxParameters={"tmpfs": tmpfs})["setup"]
    assert setup["limits"] == [("nofile", 10, 20)]
    assert setup["mounts"] == [("", "/run/x", False, True)]


@root_only
@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ("1234", (1234, 0)),
        ("1234:2345", (1234, 2345)),
        ("nobody", (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)),
        ("0:7", (0, 7)),
    ],
)
def test_user(tmp_path, given, ids):
    assert message(tmp_path, user=given)["setup"]["user"] == ids


@root_only
def test_unknown_user(tmp_path):
    with pytest.raises(StartError, match="unable to find user who-ever"):
        message(tmp_path, user="who-ever")


class Secrets:
    def resolve(self, value_from, execution_role):
        if value_from == "gone":
            raise ClientError("ResourceNotFoundException: gone")
        return f"value of {value_from}"


def test_secrets_become_variables():
    named = [{"name": "TOKEN", "valueFrom": "arn:secret:key::"}, {"name": "P", "valueFrom": "/par"}]
    assert resolve_secrets(job(secrets=named), Secrets()) == {
        "TOKEN": "value of arn:secret:key::",
        "P": "value of /par",
    }


@pytest.mark.parametrize("source", [Secrets(), NoSecrets()])
def test_secret_that_cannot_be_read(source):
    with pytest.raises(StartError, match=r"^ResourceInitializationError: unable to pull secrets"):
        resolve_secrets(job(secrets=[{"name": "T", "valueFrom": "gone"}]), source)


def test_runtime_that_does_not_exist_is_refused():
    with pytest.raises(
        RuntimeUnavailableError, match="runtime must be one of process, container, auto, got vm"
    ):
        choose("vm")


def test_the_working_directory_is_the_images(tmp_path):
    assert message(tmp_path, ImageConfig(workdir="/srv"))["cwd"] == "/srv"
    for image in (None, ImageConfig()):
        assert message(tmp_path, image)["cwd"] == str(tmp_path / "job-2")


@root_only
def test_the_images_user_counts_where_the_job_gives_none(tmp_path, monkeypatch):
    monkeypatch.setattr(process_image, "_closed_to", lambda ids, folder: None)
    image = ImageConfig(user="7:8")
    assert message(tmp_path, image)["setup"]["user"] == (7, 8)
    assert message(tmp_path, image, user="12345")["setup"]["user"] == (12345, 0)
    assert message(tmp_path, ImageConfig(user="root"))["setup"] is None
    assert message(tmp_path, ImageConfig(user="no-such-user"))["setup"] is None


def test_asset_that_the_assembly_does_not_hold_names_the_option(tmp_path):
    name = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-hnb659fds-container-assets-1:abc"
    with pytest.raises(StartError, match="start it with --assembly"):
        message(tmp_path, image=name, command=["--input", "x"])
    assert message(tmp_path, ImageConfig())["argv"] == ["run"]
