"""The ``batch-stack local events`` command."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from batch_cli.local.options import data_dir_option, running_server
from batch_cli.local.own_api import post

PATH = "/_batch-stack/events"
_NOT_SHOWN = ("event", "kind", "timeMs", "actions", "faults")


@click.command()
@data_dir_option
@click.option("--job", help="Show the events of this job, with those of its children and nodes.")
@click.option(
    "--last",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="The number of events to show.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each event.")
def events(*, data_dir: Path, job: str | None, last: int, as_json: bool) -> None:
    """Show the last events of the engine, and the actions that each one led to.

    The engine keeps the last 4096 events since its start. An action carries the number of its event.
    """
    record = running_server(data_dir)
    answer = post(record, PATH, {"last": last, "job": job})
    for event in answer["events"]:
        if as_json:
            click.echo(json.dumps(event))
        else:
            for line in _lines(event):
                click.echo(line)
    if not as_json:
        click.echo(f"{answer['count']} events since the start, {answer['faults']} internal errors")


def _lines(event: dict[str, Any]) -> Iterator[str]:
    time = datetime.fromtimestamp(event["timeMs"] / 1000, UTC)
    stamp = time.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    yield f"#{event['event']}  {stamp}  {_words(event)}"
    for action in event["actions"]:
        yield f"    -> {_words(action)}  (event {action['event']})"
    for fault in event.get("faults", ()):
        outcome = "; the request was refused" if fault["refused"] else ""
        yield f"    !! internal error: {fault['reason']}{outcome}"


def _words(item: dict[str, Any]) -> str:
    members = (
        f"{name}={value}"
        for name, value in item.items()
        if name not in _NOT_SHOWN and value not in (None, [], 0, "")
    )
    return "  ".join((item["kind"], *members))
