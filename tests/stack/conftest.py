"""Templates for all stack tests, each synthesised once a session in one jsii process: both cost seconds."""

import json
import runpy
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import batch_stack
from batch_stack.settings.file import parse_settings
from tests.stack.everything import EVERY_KIND, EVERYTHING
from tests.stack.reading import Resources, Template

ROOT = Path(__file__).resolve().parents[2]


@cache
def _flags() -> Mapping[str, Any]:
    return dict(json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"])


def _new_app(outdir: Path, **context: Any) -> Any:
    app = import_module("aws_cdk").App
    return app(context={**_flags(), **context}, outdir=str(outdir), analytics_reporting=False)


def _stack(app: Any, settings: batch_stack.Settings) -> Any:
    return batch_stack.BatchStack(app, settings.name, settings=settings, containers_dir=ROOT / "containers")


def _file(stack: Any) -> Path:
    return Path(stack.node.root.synth().directory) / stack.template_file


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
    return _stack(new_app(), batch_stack.load_settings(ROOT / "batch.yaml"))


@pytest.fixture(scope="session")
def assertions(default_stack: Any) -> Any:
    """CDK's own assertions on the default template."""
    return _assertions_on(default_stack)


@pytest.fixture(scope="session")
def _template_text(default_stack: Any) -> str:
    return _file(default_stack).read_text(encoding="utf-8")


@pytest.fixture
def template(_template_text: str) -> dict[str, Any]:
    """The default template; each test gets its own copy."""
    return json.loads(_template_text)


@pytest.fixture
def of_type(template: dict[str, Any]) -> Callable[[str], Resources]:
    """Finds the resources of a type, such as AWS::Batch::JobQueue."""
    return lambda kind: {k: v for k, v in template["Resources"].items() if v["Type"] == kind}


@pytest.fixture(scope="session")
def synth(new_app: Callable[[], Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Makes templates of settings, written as in batch.yaml; equal settings are synthesised once a session.

    Each call returns a copy of its own. Settings that are refused raise what app.py would meet.
    """
    texts: dict[str, str] = {}

    def template_of(settings: Mapping[str, Any]) -> dict[str, Any]:
        key = json.dumps(settings)
        if key not in texts:
            stack = _stack(new_app(), parse_settings(settings, source="test"))
            texts[key] = _file(stack).read_text(encoding="utf-8")
        return json.loads(texts[key])

    return template_of


@pytest.fixture
def everything(synth: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Template:
    """All that keeps data, with a key of the platform's own."""
    return Template(synth(EVERYTHING))


@pytest.fixture
def plain(synth: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Template:
    """The same without a key, to be destroyed with the stack, and without a database's minimum."""
    storage = {**EVERYTHING["storage"], "kms": False, "on_delete": "destroy"}
    tiers = {**EVERYTHING["tiers"], "low": {"priority": 1, "compute": ["spot"]}}
    return Template(synth({**EVERYTHING, "storage": storage, "tiers": tiers}))


@pytest.fixture(scope="session")
def variant_stack(new_app: Callable[[], Any], cdk: Any) -> Any:
    """A stack with most settings different from the default, and a tag on everything."""
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
    stack = _stack(new_app(), settings)
    cdk.Tags.of(stack.node.root).add("team", "video")
    return stack


@pytest.fixture(scope="session")
def _variant_text(variant_stack: Any) -> str:
    return _file(variant_stack).read_text(encoding="utf-8")


@pytest.fixture
def variant(_variant_text: str) -> dict[str, Any]:
    """The variant's template; each test gets its own copy."""
    return json.loads(_variant_text)


@pytest.fixture(scope="session")
def everything_stack(new_app: Callable[[], Any]) -> Any:
    """The stack with everything on that keeps data, tells others, or watches costs."""
    return _stack(new_app(), parse_settings(EVERYTHING, source="everything"))


@pytest.fixture(scope="session")
def kinds_stack(new_app: Callable[[], Any]) -> Any:
    """The stack with a compute environment and a job of every kind, in a network that has it all."""
    return _stack(new_app(), parse_settings(EVERY_KIND, source="kinds"))


@pytest.fixture(scope="session")
def everything_file(everything_stack: Any) -> Path:
    """The template with everything on that keeps data, tells others, or watches costs."""
    return _file(everything_stack)


@pytest.fixture(scope="session")
def examples(cdk: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The cloud assembly of each folder of examples/, by its name.

    A folder's app.py is run; one that has none holds a batch.yaml for the app.py of the project.
    """
    assemblies = {}
    for folder in sorted(path for path in (ROOT / "examples").glob("*") if path.is_dir()):
        outdir = tmp_path_factory.mktemp(folder.name)
        own = folder / "app.py"
        script = own if own.is_file() else ROOT / "app.py"
        context = {} if own.is_file() else {"settings": str(folder / "batch.yaml")}
        app = _new_app(outdir, **context)
        with pytest.MonkeyPatch.context() as patch:
            # What the CDK command passes in the environment does not reach a jsii process that runs already.
            # batch_stack first: its first use imports the module that takes App from the CDK, for good.
            for module in (batch_stack, cdk):
                patch.setattr(module, "App", lambda app=app: app)
            runpy.run_path(str(script), run_name="__main__")
        assemblies[folder.name] = outdir
    return assemblies


@pytest.fixture(scope="session")
def whole_stacks(
    default_stack: Any, variant_stack: Any, everything_stack: Any, kinds_stack: Any
) -> dict[str, Any]:
    """The stacks that are no example; what can be provisioned at all is in one of them."""
    return {
        "default": default_stack,
        "variant": variant_stack,
        "everything": everything_stack,
        "kinds": kinds_stack,
    }


@pytest.fixture(scope="session")
def all_templates(whole_stacks: dict[str, Any], examples: dict[str, Path]) -> dict[str, Path]:
    """Every template that the project stands for, by name: `default`, `variant` ..., `<example>.<stack>`."""
    templates = {name: _file(stack) for name, stack in whole_stacks.items()}
    for example, assembly in examples.items():
        for path in sorted(assembly.glob("*.template.json")):
            templates[f"{example}.{path.name.removesuffix('.template.json')}"] = path
    return templates
