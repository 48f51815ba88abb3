"""``batch-stack local env``."""

import os
import shlex
from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, running_server
from batch_engine.local import client_environment


@click.command()
@data_dir_option
def env(data_dir: Path) -> None:
    """Print the variables that point the AWS CLI, SDKs and CDK at the local cloud.

    \b
    eval "$(batch-stack local env)"
    """
    record = running_server(data_dir)
    for name in client_environment.to_unset(os.environ):
        click.echo(f"unset {name}")
    for name, value in client_environment.to_set(record.endpoint_url, record.region).items():
        click.echo(f"export {name}={shlex.quote(value)}")
