"""The Lambda functions of this project: Python with boto3 only, so that nothing has to be bundled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from aws_cdk import Duration, IgnoreMode
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

_PACKAGE_DIR = Path(__file__).resolve().parents[1]


def python_function(
    scope: Construct,
    construct_id: str,
    *,
    name: str,
    description: str,
    role: iam.Role,
    log_group: logs.ILogGroup,
    environment: Mapping[str, str],
    timeout: Duration,
    dead_letter_queue: sqs.IQueue | None = None,
) -> lambda_.Function:
    """Creates a function from a folder of `lambdas`, whose handler is ``handler.handle``.

    Args:
        scope: the parent construct.
        construct_id: the function's id within it.
        name: the folder's name.
        description: its description in the console of Lambda.
        role: its role, which must already have a policy.
        log_group: the log group of its output.
        environment: its variables.
        timeout: the time after which Lambda ends it.
        dead_letter_queue: the queue for events that it failed to process, if it is called asynchronously.
    """
    return lambda_.Function(
        scope,
        construct_id,
        description=description,
        runtime=lambda_.Runtime.PYTHON_3_14,
        architecture=lambda_.Architecture.ARM_64,
        handler="handler.handle",
        # Sources only: files that other tools leave in the folder must not change the function.
        code=lambda_.Code.from_asset(str(_folder(name)), exclude=["*", "!*.py"], ignore_mode=IgnoreMode.GIT),
        role=role,
        log_group=log_group,
        memory_size=256,
        timeout=timeout,
        environment=environment,
        dead_letter_queue=dead_letter_queue,
    )


def drop_redundant_dependency(function: lambda_.Function, role: iam.Role) -> None:
    """Removes a function's explicit dependency on its role, because the function refers to the role anyway.

    The L2 depends on the role and on its policy, which cfn-lint reports as W3005. Call this when the role has
    all its permissions.

    Args:
        function: the function.
        role: its role.
    """
    policy = cast(iam.CfnPolicy, role.node.find_child("DefaultPolicy").node.default_child)
    cfn = cast(lambda_.CfnFunction, function.node.default_child)
    cfn.add_override("DependsOn", [policy.logical_id])


def _folder(name: str) -> Path:
    # Beside this package in the repository, inside it in an installed wheel.
    places = (_PACKAGE_DIR / "lambdas" / name, _PACKAGE_DIR.parent / "lambdas" / name)
    return next(folder for folder in places if folder.is_dir())
