"""The ``batch-stack local capacity`` command."""

from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, running_server
from batch_cli.local.own_api import post

_PATH = "/_batch-stack/capacity"


@click.command()
@data_dir_option
@click.option(
    "--instance-type",
    "instance_types",
    multiple=True,
    help="An instance type such as c7i.large, or a family such as c7i. Can be repeated.",
)
@click.option(
    "--available/--unavailable",
    "available",
    default=None,
    help="Whether EC2 can launch these types from now on.",
)
def capacity(data_dir: Path, instance_types: tuple[str, ...], available: bool | None) -> None:
    """Make instance types unavailable, as EC2 does when it lacks capacity, or list the unavailable ones.

    Jobs that need a new instance of such a type wait in RUNNABLE with that reason. Running instances stay.
    All types are available after a start of the server.
    """
    if bool(instance_types) != (available is not None):
        raise click.UsageError(
            "give --instance-type together with --unavailable or --available, or none of them"
        )
    record = running_server(data_dir)
    request = {} if available is None else {"instanceTypes": list(instance_types), "available": available}
    unavailable = post(record, _PATH, request)["unavailable"]
    click.echo(f"unavailable instance types: {', '.join(unavailable) or 'none'}")
