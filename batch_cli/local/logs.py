"""The ``batch-stack local logs`` command."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from batch_cli.local.clients import client
from batch_cli.local.options import data_dir_option, running_server
from batch_engine.local.server.file_logs import FileLogs

_DEFAULT_GROUP = "/aws/batch/job"


@click.command()
@data_dir_option
@click.argument("job_id")
def logs(*, data_dir: Path, job_id: str) -> None:
    """Print the output of all attempts of a job.

    A child of an array has the id ID:INDEX, a node of a multi-node job ID#NODE.
    """
    record = running_server(data_dir)
    jobs = client(record, "batch").describe_jobs(jobs=[job_id])["jobs"]
    if not jobs:
        raise click.ClickException(f"no job {job_id}: it never existed, or it ended long ago")
    (job,) = jobs
    streams = dict.fromkeys(_streams(job))
    if not streams:
        raise click.ClickException(f"no output of job {job_id}{_hint(job)}: it is {job['status']}")
    read = FileLogs(data_dir).read if record.batch_only else partial(_messages, client(record, "logs"))
    for number, (group, stream) in enumerate(streams, start=1):
        if len(streams) > 1:
            click.echo(f"--- {number} of {len(streams)}: {stream}", err=True)
        for message in read(group, stream):
            click.echo(message)


def _streams(job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    groups = [
        container.get("logConfiguration", {}).get("options", {}).get("awslogs-group", _DEFAULT_GROUP)
        for container in _containers(job)
    ]
    for part in [*job.get("attempts", []), job]:
        for group, container in zip(groups, _containers(part), strict=False):
            if stream := container.get("logStreamName"):
                yield group, stream


def _containers(part: dict[str, Any]) -> list[dict[str, Any]]:
    if "container" in part:
        return [part["container"]]
    tasks = part.get("taskProperties") or part.get("ecsProperties", {}).get("taskProperties", [])
    return [container for task in tasks for container in task.get("containers", [])]


def _hint(job: dict[str, Any]) -> str:
    if "arrayProperties" in job and "size" in job["arrayProperties"]:
        return f" itself, name a child such as {job['jobId']}:0"
    if "numNodes" in job.get("nodeProperties", {}):
        return f" itself, name a node such as {job['jobId']}#0"
    return ""


def _messages(cloudwatch: Any, group: str, stream: str) -> Iterator[str]:
    request = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
    token = None
    while True:
        page = cloudwatch.get_log_events(**request, **({"nextToken": token} if token else {}))
        yield from (event["message"] for event in page["events"])
        # CloudWatch Logs repeats the token at the end of the stream.
        if page["nextForwardToken"] == token or not page["events"]:
            return
        token = page["nextForwardToken"]
