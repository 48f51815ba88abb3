"""``batch-stack local capacity``."""

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
    help="A type such as c7i.large, or a whole family such as c7i; may be given several times.",
)
@click.option(
    "--available/--unavailable",
    "available",
    default=None,
    help="Whether they can be launched from now on.",
)
def capacity(data_dir: Path, instance_types: tuple[str, ...], available: bool | None) -> None:
    """Run EC2 out of instance types, or show which are out.

    Jobs that need a new instance of such a type wait in RUNNABLE and say so; running instances stay. A server
    that starts has every type.
    """
    if bool(instance_types) != (available is not None):
        raise click.UsageError(
            "give --instance-type together with --unavailable or --available, or none of them"
        )
    record = running_server(data_dir)
    request = {} if available is None else {"instanceTypes": list(instance_types), "available": available}
    unavailable = post(record, _PATH, request)["unavailable"]
    click.echo(f"unavailable instance types: {', '.join(unavailable) or 'none'}")
