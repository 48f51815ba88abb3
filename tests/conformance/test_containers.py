"""Jobs as containers, in a real container engine: podman, where it works."""

import contextlib
import json
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from batch_engine.local.base.ports import Credentials
from batch_engine.local.engine.runtime_choice import choose
from batch_engine.local.server import batch_only
from tests.conformance.podman import BASE_IMAGE
from tests.support import free_port, running_endpoint, wait_for

pytestmark = pytest.mark.cloud

HOST_VCPUS = 4
ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-hnb659fds-container-assets-000000000000-us-east-1"


@pytest.fixture(scope="module")
def assembly(tmp_path_factory):
    """A cloud assembly of two images: one that builds, one that cannot."""
    folder = tmp_path_factory.mktemp("cdk.out")
    good = folder / "asset.good"
    good.mkdir()
    (good / "greeting").write_text("from the asset\n")
    (good / "Worker.dockerfile").write_text(
        f"FROM {BASE_IMAGE}\nARG WHO=nobody\nENV HELLO=$WHO PATH=/opt:/bin\nCOPY greeting /srv/greeting\n"
        'WORKDIR /srv\nENTRYPOINT ["/bin/sh", "-c"]\nCMD ["cat greeting; pwd; echo $HELLO $PATH"]\n'
    )
    bad = folder / "asset.bad"
    bad.mkdir()
    (bad / "Dockerfile").write_text(f"FROM {BASE_IMAGE}\nCOPY absent /\n")
    sources = {
        "good": {
            "directory": good.name,
            "dockerFile": "Worker.dockerfile",
            "dockerBuildArgs": {"WHO": "you"},
        },
        "bad": {"directory": bad.name},
    }
    images = {
        tag: {"source": source, "destinations": {"here": {"imageTag": tag}}}
        for tag, source in sources.items()
    }
    (folder / "S.assets.json").write_text(json.dumps({"dockerImages": images}))
    return folder


class Containers:
    """An endpoint that runs jobs as containers, one queue, and how tests use them."""

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint
        self.queue = endpoint.queue("standard", endpoint.environment())
        self._count = 0

    def submit(self, command: str | list[str], **container: Any) -> str:
        self._count += 1
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        more = {name: container.pop(name) for name in ("timeout", "retryStrategy") if name in container}
        definition = self.endpoint.definition(
            f"job-{self._count}", argv, container={"image": BASE_IMAGE, **container}, **more
        )
        return str(self.endpoint.submit(self.queue, definition))

    def run(self, command: str | list[str], **container: Any) -> SimpleNamespace:
        job = self.endpoint.wait(self.submit(command, **container))
        lines = self.endpoint.log(job) if self.has_log(job) else []
        shown = job["container"]
        return SimpleNamespace(
            status=job["status"],
            status_reason=job.get("statusReason"),
            code=shown.get("exitCode"),
            reason=shown.get("reason"),
            lines=lines,
        )

    def has_log(self, job: dict[str, Any]) -> bool:
        stream = job["container"].get("logStreamName")
        return bool(stream) and (self.endpoint.data_dir / "logs/aws/batch/job" / stream).exists()


@pytest.fixture(scope="module")
def containers(podman, assembly, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    options = {"runtime": choose("container", podman.cli), "assembly": assembly}
    with running_endpoint(folder, host_vcpus=HOST_VCPUS, **options) as endpoint:
        yield Containers(endpoint)
    assert podman.containers() == []
    assert podman("volume", "ls", "--quiet").split() == []


def test_output_exit_code_and_environment(containers):
    variables = [
        {"name": "SPACED", "value": " a  b "},
        {"name": "LINES", "value": "first\nsecond"},
        {"name": "PATH", "value": "/mine:/bin"},
    ]
    job = containers.run("echo out; echo err >&2; env; exit 3", environment=variables)
    assert (job.status, job.code, job.reason) == ("FAILED", 3, None)
    assert job.status_reason == "Essential container in task exited"
    # Two pipes: which line comes first is not said.
    assert {"out", "err"} <= set(job.lines)
    assert "SPACED= a  b " in job.lines
    assert "second" in job.lines
    assert "PATH=/mine:/bin" in job.lines
    names = {line.partition("=")[0] for line in job.lines if re.match(r"\w+=", line)}
    assert names >= {"AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT", "AWS_BATCH_JQ_NAME", "AWS_BATCH_CE_NAME"}
    assert "HOME=/root" in job.lines
    assert not names & {"VIRTUAL_ENV", "PYTEST_CURRENT_TEST", "TMPDIR"}


def test_asset_is_built_once_and_runs_as_its_dockerfile_says(containers, assembly):
    job = containers.run([], image=f"{ECR}:good")
    assert (job.status, job.lines) == ("SUCCEEDED", ["from the asset", "/srv", "you /opt:/bin"])
    (assembly / "asset.good" / "greeting").write_text("built again\n")
    job = containers.run(["cat greeting"], image=f"{ECR}:good")
    assert job.lines == ["from the asset"]


@pytest.mark.parametrize(
    ("image", "command", "reason"),
    [
        (
            BASE_IMAGE,
            ["absent"],
            r"CannotStartContainerError: .*exec: .absent.: executable file not found in",
        ),
        (BASE_IMAGE, [], "CannotStartContainerError: no command specified"),
        (f"{ECR}:bad", ["x"], "CannotPullContainerError: the image could not be built: .*absent"),
        (f"{ECR}:none", ["x"], "CannotPullContainerError: .*start it with --assembly"),
        ("127.0.0.1:1/none:1", ["x"], "CannotPullContainerError: .*connection refused"),
    ],
    ids=["no program", "no command", "not built", "no asset", "not pulled"],
)
def test_container_that_cannot_start_says_why(containers, image, command, reason):
    job = containers.run(command, image=image)
    assert (job.status, job.status_reason, job.code) == ("FAILED", "Task failed to start", None)
    assert re.match(reason, job.reason), job.reason
    assert len(job.reason) <= 255


def test_image_that_needs_credentials_says_that_they_are_not_read(containers):
    secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:registry"
    job = containers.run(
        ["x"], image="127.0.0.1:1/none:1", repositoryCredentials={"credentialsParameter": secret}
    )
    assert job.reason.startswith("CannotPullContainerError: repositoryCredentials are not read here, log in")


def test_container_above_its_memory_is_killed(containers):
    memory = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "32"}]
    job = containers.run("x=a; while :; do x=$x$x; done", resourceRequirements=memory)
    assert (job.code, job.reason) == (137, "OutOfMemoryError: Container killed due to memory usage")


def test_exit_code_137_alone_is_no_lack_of_memory(containers):
    job = containers.run("exit 137")
    assert (job.code, job.reason) == (137, None)


def test_what_a_container_is_given(containers):
    job = containers.run(
        "id -u; id -g; touch /tmp/x 2>&1; ulimit -n; df -m /dev/shm /run/mine | awk 'NR>1{print $2}';"
        "touch /run/mine/x && echo wrote; ls /dev/mine",
        user="worker",
        readonlyRootFilesystem=True,
        ulimits=[
            {"name": "nofile", "softLimit": 77, "hardLimit": 88},
            {"name": "nproc", "softLimit": 1000, "hardLimit": 1000},
        ],
        linuxParameters={
            "sharedMemorySize": 9,
            "tmpfs": [{"containerPath": "/run/mine", "size": 5, "mountOptions": ["mode=1777"]}],
            "devices": [{"hostPath": "/dev/null", "containerPath": "/dev/mine"}],
        },
    )
    expected = ["1234", "1235", "touch: /tmp/x: Read-only file system", "77", "9", "5", "wrote", "/dev/mine"]
    assert job.lines == expected


def test_memory_and_cpus_are_limits(containers):
    job = containers.run(
        "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares 2>/dev/null"
        " || cat memory.max cpu.max cpu.weight",
        resourceRequirements=[{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "100"}],
    )
    memory_bytes, quota_us, shares = (int(line.split()[0]) for line in job.lines)
    assert memory_bytes == 100 << 20
    assert quota_us == min(HOST_VCPUS, os.cpu_count() or 1) * 100_000
    assert shares in (1024, 1 + (1024 - 2) * 9999 // 262142)  # as cgroups of version 1 and 2 say it


def test_init_process_is_there_or_said_to_be_missing(containers):
    job = containers.run("cat /proc/1/comm", linuxParameters={"initProcessEnabled": True})
    if job.status == "SUCCEEDED":
        assert job.lines != ["cat"]
        assert job.lines != ["sh"]
    else:
        assert job.status_reason == "Task failed to start"
        assert "the package catatonit" in job.reason


def test_volumes(containers, tmp_path):
    (tmp_path / "given").write_text("of the host\n")
    volumes = [
        {"name": "host", "host": {"sourcePath": str(tmp_path)}},
        {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-12345678"}},
        {"name": "empty"},
    ]
    points = [
        {"sourceVolume": "host", "containerPath": "/host", "readOnly": True},
        {"sourceVolume": "efs", "containerPath": "/mnt/efs"},
        {"sourceVolume": "empty", "containerPath": "/one"},
        {"sourceVolume": "empty", "containerPath": "/two"},
    ]
    script = (
        "cat /host/given; touch /host/x 2>&1; cat /mnt/efs/*; echo kept > /mnt/efs/file;"
        "ls /one; touch /one/a; ls /two"
    )
    first = containers.run(script, volumes=volumes, mountPoints=points)
    second = containers.run(script, volumes=volumes, mountPoints=points)
    start = ["of the host", "touch: /host/x: Read-only file system"]
    assert first.lines == [*start, "cat: can't open '/mnt/efs/*': No such file or directory", "a"]
    assert second.lines == [*start, "kept", "a"]


def test_credentials_and_endpoint_are_within_reach(containers, monkeypatch):
    def assume_role(self: Any, role_arn: str, session_name: str) -> Credentials:
        return Credentials("AKIA", "secret", "token", "2030-01-01T00:00:00Z")

    monkeypatch.setattr(batch_only.NoCredentials, "assume_role", assume_role)
    job = containers.run(
        "wget -qO- $AWS_CONTAINER_CREDENTIALS_FULL_URI; echo;"
        "wget -qO- --post-data '{}' $AWS_ENDPOINT_URL/v1/describejobqueues",
        jobRoleArn="arn:aws:iam::000000000000:role/job",
    )
    assert json.loads(job.lines[0])["SecretAccessKey"] == "secret"
    assert json.loads(job.lines[1])["jobQueues"][0]["jobQueueName"] == "standard"


def test_lines_are_readable_while_the_container_runs_and_terminate_is_sigterm(containers):
    endpoint = containers.endpoint
    job_id = containers.submit("trap 'echo told; exit 4' TERM; echo up; while :; do sleep 0.05; done")
    job = endpoint.wait(job_id, "RUNNING")
    wait_for(lambda: containers.has_log(job) and endpoint.log(job) == ["up"], "a line of a running container")
    endpoint.batch.terminate_job(jobId=job_id, reason="enough")
    job = endpoint.wait(job_id)
    assert (job["status"], job["statusReason"], job["container"]["exitCode"]) == ("FAILED", "enough", 4)
    assert endpoint.log(job) == ["up", "told"]


def test_nodes_reach_the_main_node(containers):
    endpoint, port = containers.endpoint, free_port()
    script = (
        # Without a standard input that stays open it hangs up before it has read anything.
        f"if [ $AWS_BATCH_JOB_NODE_INDEX = 0 ]; then mkfifo /tmp/open; nc -l -p {port} 0<>/tmp/open; else"
        " main=$AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS;"
        f" until echo hello from $AWS_BATCH_JOB_NODE_INDEX | nc $main {port}; do sleep 0.05; done; fi"
    )
    container = {
        "image": BASE_IMAGE,
        "command": ["/bin/sh", "-c", script],
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    }
    definition = endpoint.batch.register_job_definition(
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={
            "numNodes": 2,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:1", "container": container}],
        },
    )["jobDefinitionArn"]
    job_id = endpoint.submit(containers.queue, definition)
    assert endpoint.wait(job_id)["status"] == "SUCCEEDED"
    assert endpoint.log(endpoint.job(f"{job_id}#0")) == ["hello from 1"]


def test_container_that_somebody_removes_is_lost_with_its_host(containers, podman):
    endpoint = containers.endpoint
    retry = {"attempts": 2, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "EXIT"}]}
    job_id = containers.submit("echo up; exec sleep 1000", retryStrategy=retry)
    job = endpoint.wait(job_id, "RUNNING")
    wait_for(lambda: containers.has_log(job) and endpoint.log(job) == ["up"], "a line of a running container")
    (name,) = [name for name in podman.containers() if job_id in name]
    # A removal begins with SIGKILL: a client that is stopped cannot see that as an exit code.
    (client,) = [child for child in psutil.Process().children() if name in child.cmdline()]
    client.suspend()
    podman("rm", "--force", "--time", "0", name)
    with contextlib.suppress(psutil.NoSuchProcess):
        client.resume()
    job = endpoint.wait(job_id)
    assert job["status"] == "FAILED"
    assert re.fullmatch(r"Host EC2 \(instance i-\w+\) terminated\.", job["statusReason"])
    assert len(job["attempts"]) == 1


def test_nothing_of_an_ended_job_is_left(containers, podman):
    job_id = containers.submit("true")
    containers.endpoint.wait(job_id)
    assert [name for name in podman.containers() if job_id in name] == []
    scratch = Path(containers.endpoint.data_dir) / "batch-stack-scratch"
    wait_for(lambda: list(scratch.iterdir()) == [], "an empty scratch folder")
