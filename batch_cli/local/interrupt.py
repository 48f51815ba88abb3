"""The ``batch-stack local interrupt`` command."""

from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, running_server
from batch_cli.local.own_api import post

_PATH = "/_batch-stack/interrupt"


@click.command()
@data_dir_option
@click.option("--job", help="Interrupt the instance that runs this job.")
@click.option("--instance", help="Interrupt this instance.")
@click.option(
    "--compute-environment", help="Interrupt all instances of this compute environment that run jobs."
)
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

    Each job receives SIGTERM at once, and SIGKILL when the notice ends and its instance terminates. Its retry
    strategy decides whether it runs again.
    """
    targets = {"job": job, "instance": instance, "computeEnvironment": compute_environment}
    given = {name: value for name, value in targets.items() if value}
    if len(given) != 1:
        raise click.UsageError("give exactly one of --job, --instance and --compute-environment")
    record = running_server(data_dir)
    jobs = post(record, _PATH, {**given, "noticeSeconds": notice_s})["jobs"]
    for job_id in jobs:
        click.echo(f"interrupted job {job_id}: its instance ends in {notice_s:g} s")
