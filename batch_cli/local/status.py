"""The ``batch-stack local status`` command."""

import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from batch_cli.local.clients import client
from batch_cli.local.options import data_dir_option, running_server
from batch_cli.local.own_api import post
from batch_engine.local.engine import event_outbox, recent_events
from batch_engine.local.server.state import ServerRecord

_STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
_PARKED_SHOWN = 5


@click.command()
@data_dir_option
def status(data_dir: Path) -> None:
    """Show the endpoint, the uptime, the runtime of jobs, and the queues with their jobs by status."""
    record = running_server(data_dir)
    if not record.answers():
        raise click.ClickException(
            f"the local cloud (pid {record.pid}) does not answer at {record.endpoint_url}"
        )
    uptime = timedelta(seconds=int(time.time() - record.started_at_s))
    click.echo(f"endpoint  {record.endpoint_url}  ({record.region}, account {record.account})")
    click.echo(f"pid       {record.pid}, up {uptime}")
    click.echo(f"data      {data_dir.resolve()}")
    click.echo(f"runtime   {record.runtime}")
    log = post(record, recent_events.PATH, {"last": 0})
    click.echo(f"events    {log['count']}, internal errors: {log['faults']} (batch-stack local events)")
    for line in _parked_events(record):
        click.echo(line)
    for line in _queue_table(client(record, "batch")):
        click.echo(line)


def _parked_events(record: ServerRecord) -> list[str]:
    """Returns a line for each state-change event that the server has parked after failed deliveries."""
    events = post(record, event_outbox.PATH, {})["events"]
    if not events:
        return []
    lines = [f"parked    {len(events)} events could not be delivered to EventBridge:"]
    for event in events[-_PARKED_SHOWN:]:
        tried = f"{event['tries']} tries, last error {event['error']}"
        lines.append(f"          {event['detailType']} of {event['resource']}: {tried}")
    return lines


def _queue_table(batch: Any) -> list[str]:
    pages = batch.get_paginator("describe_job_queues").paginate()
    queues = [queue for page in pages for queue in page["jobQueues"]]
    if not queues:
        return ["queues    none"]
    rows = [["queue", "state", "priority", *_STATUSES]]
    for queue in sorted(queues, key=lambda queue: (-queue["priority"], queue["jobQueueName"])):
        counts = _job_counts(batch, queue["jobQueueName"])
        shown = [str(counts[name]) for name in _STATUSES]
        rows.append([queue["jobQueueName"], queue["state"], str(queue["priority"]), *shown])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _job_counts(batch: Any, queue_name: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for name in _STATUSES:
        pages = batch.get_paginator("list_jobs").paginate(jobQueue=queue_name, jobStatus=name)
        counts[name] = sum(len(page["jobSummaryList"]) for page in pages)
    return counts
