"""One synthesised template for all stack tests: synthesis costs seconds."""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings import parse_settings

ROOT = Path(__file__).resolve().parents[2]

Resources = dict[str, dict[str, Any]]


def _new_app(outdir: Path) -> Any:
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return batch_stack.App(context=context, outdir=str(outdir), analytics_reporting=False)


def _assertions_on(stack: Any) -> Any:
    return import_module("aws_cdk.assertions").Template.from_stack(stack)


@pytest.fixture(scope="session")
def cdk() -> Any:
    """The library, loaded when a test asks: at collection it would cost every run of other tests seconds."""
    return import_module("aws_cdk")


@pytest.fixture(scope="session")
def new_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Any]:
    """Makes apps with the feature flags of cdk.json."""
    return lambda: _new_app(tmp_path_factory.mktemp("cdk.out"))


@pytest.fixture(scope="session")
def default_stack(new_app: Callable[[], Any]) -> Any:
    """The stack that app.py deploys."""
    settings = batch_stack.load_settings(ROOT / "batch.yaml")
    return batch_stack.BatchStack(
        new_app(), settings.name, settings=settings, containers_dir=ROOT / "containers"
    )


@pytest.fixture(scope="session")
def assertions(default_stack: Any) -> Any:
    """CDK's own assertions on the default template."""
    return _assertions_on(default_stack)


@pytest.fixture(scope="session")
def _template_text(assertions: Any) -> str:
    return json.dumps(assertions.to_json())


@pytest.fixture
def template(_template_text: str) -> dict[str, Any]:
    """The default template; each test gets its own copy."""
    return json.loads(_template_text)


@pytest.fixture
def of_type(template: dict[str, Any]) -> Callable[[str], Resources]:
    """Finds the resources of a type, such as AWS::Batch::JobQueue."""
    return lambda kind: {k: v for k, v in template["Resources"].items() if v["Type"] == kind}


@pytest.fixture(scope="session")
def _variant_text(new_app: Callable[[], Any], cdk: Any) -> str:
    settings = parse_settings(
        {
            "name": "variant",
            "compute": {
                "spot": {"type": "spot", "instance_types": ["m7g", "c7g.large"]},
                "on_demand": {"type": "on_demand", "instance_types": ["default_arm64"], "ebs_gib": 77},
                "fargate": {"type": "fargate_spot"},
            },
            "jobs": {
                "media": {"folder": "media"},
                "quick": {
                    "folder": "media",
                    "platform": "fargate",
                    "vcpu": 0.25,
                    "memory_mib": 512,
                    "environment": {"MODE": "quick"},
                },
            },
            "triggers": {
                "all-media": {"job": "media", "tier": "bulk"},
                "quick": {"job": "quick", "tier": "fargate", "prefix": "quick/"},
            },
            "storage": {"versioning": False, "output_expiry_days": 9, "on_delete": "destroy"},
            "notifications": {"emails": ["ops@example.com"]},
            "log_retention_days": 7,
        },
        source="variant",
    )
    app = new_app()
    stack = batch_stack.BatchStack(app, settings.name, settings=settings, containers_dir=ROOT / "containers")
    cdk.Tags.of(app).add("team", "video")
    return json.dumps(_assertions_on(stack).to_json())


@pytest.fixture
def variant(_variant_text: str) -> dict[str, Any]:
    """A template with most settings different from the default, and a tag on everything."""
    return json.loads(_variant_text)
