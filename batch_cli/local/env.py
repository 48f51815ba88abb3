"""The ``batch-stack local env`` command."""

import os
import shlex
from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, running_server
from batch_engine.local.server import client_environment


@click.command()
@data_dir_option
@click.option("--unset", is_flag=True, help="Print the commands that unset the variables.")
def env(*, data_dir: Path, unset: bool) -> None:
    """Print the variables that make the AWS CLI, SDKs and CDK use the local cloud.

    \b
    eval "$(batch-stack local env)"
    eval "$(batch-stack local env --unset)"
    """
    if unset:
        for name in client_environment.to_set("", ""):
            click.echo(f"unset {name}")
        return
    try:
        record = running_server(data_dir)
    except click.ClickException:
        # The shell evaluates this output: `eval "$(...)" && cdk deploy` must not go on to the real AWS.
        click.echo("false")
        raise
    for name in client_environment.to_unset(os.environ):
        click.echo(f"unset {name}")
    for name, value in client_environment.to_set(record.endpoint_url, record.region).items():
        click.echo(f"export {name}={shlex.quote(value)}")
