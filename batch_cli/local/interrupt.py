"""``batch-stack local interrupt``."""

from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, running_server
from batch_cli.local.own_api import post

_PATH = "/_batch-stack/interrupt"


@click.command()
@data_dir_option
@click.option("--job", help="Take away the instance under this job.")
@click.option("--instance", help="Take away this instance.")
@click.option("--compute-environment", help="Take away every instance of this compute environment with jobs.")
@click.option(
    "--notice",
    "notice_s",
    type=click.FloatRange(0, 3600),
    default=120.0,
    show_default=True,
    help="Seconds between the warning and the end of the instance.",
)
def interrupt(
    data_dir: Path, job: str | None, instance: str | None, compute_environment: str | None, notice_s: float
) -> None:
    """Interrupt running jobs as EC2 Spot does.

    Each gets SIGTERM at once and is killed with its instance when the notice is over. What then happens is
    for its retry strategy to say.
    """
    targets = {"job": job, "instance": instance, "computeEnvironment": compute_environment}
    given = {name: value for name, value in targets.items() if value}
    if len(given) != 1:
        raise click.UsageError("give exactly one of --job, --instance and --compute-environment")
    record = running_server(data_dir)
    jobs = post(record, _PATH, {**given, "noticeSeconds": notice_s})["jobs"]
    for job_id in jobs:
        click.echo(f"interrupted job {job_id}: its instance ends in {notice_s:g} s")
