"""An AWS Batch endpoint without the rest of AWS, for the tests that talk to it with boto3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.podman import Podman, working_podman
from tests.support import Endpoint, running_endpoint


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path, host_vcpus=4) as running:
        yield running


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    return working_podman(tmp_path_factory.mktemp("podman"))
