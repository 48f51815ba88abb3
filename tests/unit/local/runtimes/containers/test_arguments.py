"""From a job to the command line that makes its container."""

import os
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from batch_engine.core.model.resources import Platform
from batch_engine.local.base.assembly_images import ImageAsset
from batch_engine.local.base.launch import Places, StartError
from batch_engine.local.runtimes.containers import arguments
from batch_engine.local.runtimes.containers.arguments import container_launch
from batch_engine.local.runtimes.containers.container import environment_options

CPUS = os.cpu_count() or 1
ASSET_IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-hnb659fds-container-assets-1:abc"


def job(job_id="job", milli_vcpus=1000, memory_mib=64, gpus=0, platform=Platform.EC2, **container):
    given = {"image": "i", "command": ["run", "it"], "environment": [], **container}
    return SimpleNamespace(
        id=job_id,
        attempt=SimpleNamespace(number=2),
        milli_vcpus=milli_vcpus,
        memory_mib=memory_mib,
        gpus=gpus,
        platform=platform,
        container=given,
    )


def launch(tmp_path, dialect="docker", asset=None, **given):
    places = Places(str(tmp_path / "job-2"), str(tmp_path / "job-2.log"), tmp_path / "shared")
    return container_launch(job(**given), asset, {"A": "b"}, places, dialect=dialect, host_vcpus=1.5)


def test_plain_job(tmp_path):
    made = launch(tmp_path)
    assert made.key == ("job", 2)
    assert made.command == ("run", "it")
    assert made.options == (
        *("--name", "batch-stack-job-2", "--label", "batch-stack.job=job"),
        *("--network", "host", "--log-driver", "none"),
        *("--memory", "64m", "--memory-swap", "64m"),
        *("--cpu-shares", "1024", "--cpus", f"{min(1.5, CPUS):g}"),
    )


def test_children_and_nodes_have_names_of_their_own(tmp_path):
    assert launch(tmp_path, job_id="a-b:3").name == "batch-stack-a-b-3-2"
    assert launch(tmp_path, job_id="a-b#0").name == "batch-stack-a-b-0-2"


@pytest.mark.parametrize(
    ("dialect", "given", "options"),
    [
        ("docker", {"memory_mib": 4}, ["--memory", "6m", "--memory-swap", "6m"]),
        (
            "docker",
            {"milli_vcpus": 250, "platform": Platform.FARGATE},
            ["--cpu-shares", "256", "--cpus", "0.25"],
        ),
        ("docker", {"milli_vcpus": 1_000_000}, ["--cpu-shares", "262144", "--cpus", f"{CPUS}"]),
        ("docker", {"user": "1:2"}, ["--user", "1:2"]),
        ("docker", {"privileged": True}, ["--privileged"]),
        ("docker", {"readonlyRootFilesystem": True}, ["--read-only"]),
        ("podman", {"readonlyRootFilesystem": True}, ["--read-only", "--read-only-tmpfs=false"]),
        ("podman", {}, ["--http-proxy=false", "--pids-limit", "-1"]),
        (
            "docker",
            {"ulimits": [{"name": "nofile", "softLimit": 10, "hardLimit": 20}]},
            ["--ulimit", "nofile=10:20"],
        ),
        ("docker", {"ipcMode": "host", "pidMode": "task"}, ["--ipc", "host"]),
        ("docker", {"pidMode": "host"}, ["--pid", "host"]),
        ("docker", {"linuxParameters": {"initProcessEnabled": True}}, ["--init"]),
        ("docker", {"linuxParameters": {"sharedMemorySize": 9}}, ["--shm-size", "9m"]),
        (
            "docker",
            {"linuxParameters": {"maxSwap": 36, "swappiness": 20}},
            ["--memory-swap", "100m", "--memory-swappiness", "20"],
        ),
        (
            "docker",
            {"linuxParameters": {"maxSwap": 0, "swappiness": 20}},
            ["--memory-swap", "64m", "--cpu-shares"],
        ),
        (
            "docker",
            {"linuxParameters": {"devices": [{"hostPath": "/dev/fuse"}]}},
            ["--device", "/dev/fuse:/dev/fuse:rwm"],
        ),
        (
            "docker",
            {
                "linuxParameters": {
                    "devices": [{"hostPath": "/dev/a", "containerPath": "/dev/b", "permissions": ["READ"]}]
                }
            },
            ["--device", "/dev/a:/dev/b:r"],
        ),
        (
            "docker",
            {"linuxParameters": {"tmpfs": [{"containerPath": "/x", "size": 5, "mountOptions": ["noexec"]}]}},
            ["--tmpfs", "/x:size=5m,noexec"],
        ),
    ],
)
def test_options_of_a_container(tmp_path, dialect, given, options):
    made = list(launch(tmp_path, dialect, **given).options)
    found = [made[place : place + len(options)] for place in range(len(made))]
    assert options in found, made


def test_options_that_the_job_does_not_ask_for_are_absent(tmp_path):
    made = launch(tmp_path, privileged=False, readonlyRootFilesystem=False, linuxParameters={}).options
    for option in ("--privileged", "--read-only", "--init", "--user", "--mount", "--security-opt"):
        assert option not in made


def test_elastic_fabric_adapters_are_left_out_where_there_are_none(tmp_path, monkeypatch):
    def devices():
        given = [{"hostPath": path} for path in ("/dev/infiniband/uverbs0", "/dev/fuse")]
        made = list(launch(tmp_path, linuxParameters={"devices": given}).options)
        return [word.partition(":")[0] for option, word in pairwise(made) if option == "--device"]

    monkeypatch.setattr(arguments, "EFA_DEVICES", f"{tmp_path}/")
    assert devices() == ["/dev/infiniband/uverbs0", "/dev/fuse"]
    monkeypatch.undo()
    assert devices() == ["/dev/fuse"], "what else is missing is the container engine's to refuse"


def mount(tmp_path, volume, dialect="docker", **point):
    points = [{"sourceVolume": "v", "containerPath": "/data", **point}]
    return launch(tmp_path, dialect, volumes=[{"name": "v", **volume}], mountPoints=points)


def test_volumes(tmp_path):
    host = {"host": {"sourcePath": str(tmp_path)}}
    made = mount(tmp_path, host)
    assert made.options[-2:] == ("--mount", f"type=bind,source={tmp_path},target=/data")
    assert made.volumes == ()
    assert mount(tmp_path, host, readOnly=True).options[-1].endswith(",target=/data,readonly")
    assert "label=disable" in mount(tmp_path, host, dialect="podman").options
    assert "label=disable" not in mount(tmp_path, host, dialect="nerdctl").options
    made = mount(tmp_path, {"efsVolumeConfiguration": {"fileSystemId": "fs-1", "rootDirectory": "/a"}})
    assert made.options[-1] == f"type=bind,source={tmp_path}/shared/fs-1/a,target=/data"
    assert (tmp_path / "shared/fs-1/a").is_dir()


def test_an_empty_volume_is_one_volume_at_all_of_its_mounts(tmp_path):
    points = [{"sourceVolume": "v", "containerPath": path} for path in ("/a", "/b")]
    made = launch(tmp_path, volumes=[{"name": "v"}], mountPoints=points)
    assert made.volumes == ("batch-stack-job-2-v",)
    assert [word for word in made.options if word.startswith("type=")] == [
        "type=volume,source=batch-stack-job-2-v,target=/a",
        "type=volume,source=batch-stack-job-2-v,target=/b",
    ]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"gpus": 2}, "CannotCreateContainerError: 2 GPUs asked for"),
        (
            {"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}},
            "CannotPullContainerError: operatingSystemFamily WINDOWS_SERVER_2022_CORE",
        ),
        ({"image": ASSET_IMAGE}, "CannotPullContainerError: the image is an asset of the CDK"),
        (
            {"mountPoints": [{"sourceVolume": "v", "containerPath": "data"}]},
            "CannotCreateContainerError: containerPath must be absolute, got 'data'",
        ),
        (
            {"mountPoints": [{"sourceVolume": "v", "containerPath": "/a,b"}]},
            "CannotCreateContainerError: .* a path with a comma cannot be mounted",
        ),
    ],
)
def test_requests_that_no_container_here_can_have(tmp_path, given, reason):
    with pytest.raises(StartError, match=reason):
        launch(tmp_path, **given)


def test_asset_of_the_assembly(tmp_path):
    asset = ImageAsset("abc", tmp_path, {"directory": "d"})
    made = launch(tmp_path, asset=asset, image=ASSET_IMAGE, command=[])
    assert (made.asset, made.command) == (asset, ())


def test_variables_are_not_on_the_command_line(tmp_path):
    path = str(tmp_path / "environment")
    given = {"TOKEN": "s3cret ", "EMPTY": "", "KEY": "a\nb", "CR": "x\r", "#odd": "1"}
    options, passed_on = environment_options(given, path)
    assert options == ["--env-file", path, "--env", "KEY", "--env", "CR", "--env", "#odd"]
    assert passed_on == {"KEY": "a\nb", "CR": "x\r", "#odd": "1"}
    assert Path(path).read_text() == "TOKEN=s3cret \nEMPTY=\n"
    assert Path(path).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(("name", "value"), [("A\nHOME", "b"), ("A\r", "b"), ("AWS_*", "a\nb")])
def test_names_that_would_take_in_variables_of_the_server(tmp_path, name, value):
    with pytest.raises(StartError, match="cannot be an environment variable's name"):
        environment_options({name: value}, str(tmp_path / "environment"))


def test_an_image_is_never_an_option(tmp_path):
    with pytest.raises(StartError, match="invalid reference format: --privileged"):
        launch(tmp_path, image="--privileged")


def test_a_null_byte_in_a_variable(tmp_path):
    with pytest.raises(StartError, match=r"command\[1\] holds a null byte"):
        launch(tmp_path, command=["a", "\0"])
