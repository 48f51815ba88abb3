"""The project's own stack, deployed by the real CDK to a local cloud: once for all tests that use it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_cli.demo.children import Children
from batch_cli.demo.platform import Platform
from batch_cli.demo.run import ROOT
from batch_cli.demo.scenario import Scenario


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    data_dir: Path = tmp_path_factory.mktemp("local-cloud")
    with Children() as children:
        deployed = Platform(ROOT, data_dir, children)
        deployed.start()
        synth, bootstrap = deployed.synthesize(), deployed.bootstrap()
        deployed.finish("cdk-bootstrap", bootstrap)
        deployed.finish("cdk-synth", synth)
        deployed.finish("cdk-deploy", deployed.deploy())
        deployed.read_outputs()
        yield deployed
        deployed.stop()


@pytest.fixture(scope="session")
def scenario(platform: Platform) -> Scenario:
    opened = Scenario(platform)
    opened.open_inbox()
    return opened
