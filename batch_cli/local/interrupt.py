"""``batch-stack local interrupt``."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, running_server

_PATH = "/_batch-stack/interrupt"
_TIMEOUT_S = 30.0


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
    body = json.dumps({**given, "noticeSeconds": notice_s}).encode()
    request = urllib.request.Request(f"{record.endpoint_url}{_PATH}", body, method="POST")  # noqa: S310 - ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            jobs = json.load(response)["jobs"]
    except urllib.error.HTTPError as error:
        raise click.ClickException(json.load(error)["message"]) from error
    except urllib.error.URLError as error:
        raise click.ClickException(f"{record.endpoint_url} does not answer: {error.reason}") from error
    for job_id in jobs:
        click.echo(f"interrupted job {job_id}: its instance ends in {notice_s:g} s")
