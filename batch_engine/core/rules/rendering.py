"""Renders the container of a job from its definition and a SubmitJob request.

https://docs.aws.amazon.com/batch/latest/userguide/job_definition_parameters.html
"""

import re
from collections.abc import Mapping

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import Platform
from batch_engine.core.model.wire import Wire
from batch_engine.core.rules import requirements as resources

_PLACEHOLDER = re.compile(r"Ref::([A-Za-z0-9_-]+)")
RESERVED_PREFIX = "AWS_BATCH"
FARGATE_DEFAULTS: Wire = {
    "fargatePlatformConfiguration": {"platformVersion": "LATEST"},
    "networkConfiguration": {"assignPublicIp": "DISABLED"},
}


def substitute(command: list[str], parameters: Mapping[str, str]) -> list[str]:
    """Replaces each ``Ref::name`` by its value, once: values are not searched for placeholders.

    A placeholder without a value passes through, as it does in AWS Batch.
    """

    def value(match: re.Match[str]) -> str:
        return parameters.get(match.group(1), match.group(0))

    return [_PLACEHOLDER.sub(value, word) for word in command]


def render_container(
    defined: Wire, overrides: Wire, parameters: Mapping[str, str], platform: Platform
) -> tuple[Wire, resources.Needs]:
    """Returns the container as DescribeJobs shows it, and its requirements.

    Args:
        defined: the definition's ``containerProperties``.
        overrides: SubmitJob's ``containerOverrides``.
        parameters: the definition's and SubmitJob's parameters, merged.
        platform: the platform on which it will run.

    Raises:
        ClientError: AWS Batch would refuse an override.
    """
    command = overrides.get("command") or defined.get("command") or []
    if any(word == "" for word in overrides.get("command") or []):
        raise ClientError("Container Overrides command cannot contain an empty string.")
    if overrides.get("instanceType"):
        raise ClientError(
            "Container Overrides instanceType is not applicable to single-node jobs, and for nodes it is not "
            f"supported by this engine, got {overrides['instanceType']}"
        )
    environment = {
        variable["name"]: variable.get("value", "") for variable in defined.get("environment") or []
    }
    for variable in overrides.get("environment") or []:
        name = variable.get("name", "")
        if name.startswith(RESERVED_PREFIX):
            raise ClientError(f"Environment variable names cannot start with {RESERVED_PREFIX}, got {name}")
        environment[name] = variable.get("value", "")
    requirements = resources.merge(defined, overrides)
    needs = resources.parse(requirements, platform)
    container = {
        **(FARGATE_DEFAULTS if platform is Platform.FARGATE else {}),
        "volumes": [],
        "mountPoints": [],
        "ulimits": [],
        "secrets": [],
        **{member: value for member, value in defined.items() if member not in ("vcpus", "memory")},
        "command": substitute(command, parameters),
        "environment": [{"name": name, "value": value} for name, value in environment.items()],
        "resourceRequirements": requirements,
    }
    return container, needs
