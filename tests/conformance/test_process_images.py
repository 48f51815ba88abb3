"""Jobs as processes, as the Dockerfiles of the assembly say."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import Endpoint, running_endpoint

pytestmark = pytest.mark.cloud

ECR = "000000000000.dkr.ecr.us-east-1.amazonaws.com/cdk-hnb659fds-container-assets-000000000000-us-east-1"


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """A cloud assembly with one image; its WORKDIR is a folder of this machine."""
    workdir = tmp_path / "workdir"
    workdir.mkdir()
    folder = tmp_path / "cdk.out/asset.image"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(
        f'FROM base\nENV GREETING=hello\nWORKDIR {workdir}\nENTRYPOINT ["/bin/sh", "-c"]\nCMD ["pwd"]\n'
    )
    image = {"source": {"directory": folder.name}, "destinations": {"here": {"imageTag": "image"}}}
    (folder.parent / "S.assets.json").write_text(json.dumps({"dockerImages": {"image": image}}))
    return folder.parent


@pytest.fixture
def endpoint(tmp_path: Path, assembly: Path) -> Iterator[Endpoint]:
    data = tmp_path / "data"
    data.mkdir()
    with running_endpoint(data, host_vcpus=4, assembly=assembly) as running:
        yield running


def test_a_job_starts_in_the_working_directory_of_its_image(endpoint: Endpoint, assembly: Path) -> None:
    queue = endpoint.queue("q", endpoint.environment())
    definition = endpoint.definition("in-workdir", [], container={"image": f"{ECR}:image"})
    assert endpoint.log(endpoint.wait(endpoint.submit(queue, definition))) == [
        str(assembly.parent / "workdir")
    ]
    (assembly.parent / "workdir").rmdir()
    job = endpoint.wait(
        endpoint.submit(queue, definition, containerOverrides={"command": ["echo $GREETING; pwd"]})
    )
    greeting, folder = endpoint.log(job)
    assert greeting == "hello"
    assert os.path.basename(folder).startswith(job["jobId"]), "its own folder, where WORKDIR does not exist"
