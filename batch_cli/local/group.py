"""The ``batch-stack local`` group of commands."""

import click

from batch_cli.lazy import LazyGroup

_COMMANDS = {
    "start": ("batch_cli.local.start:start", "Start it on 127.0.0.1."),
    "stop": ("batch_cli.local.stop:stop", "Stop it. Its data stays."),
    "status": ("batch_cli.local.status:status", "Show its endpoint, queues and jobs."),
    "logs": ("batch_cli.local.logs:logs", "Print the output of a job."),
    "interrupt": (
        "batch_cli.local.interrupt:interrupt",
        "Interrupt instances with their jobs, as EC2 Spot does.",
    ),
    "events": ("batch_cli.local.events:events", "Show the last events and their actions."),
    "capacity": ("batch_cli.local.capacity:capacity", "Make instance types unavailable."),
    "env": ("batch_cli.local.env:env", "Print the variables that make clients use it."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def local() -> None:
    """A cloud on this machine: no AWS account, no credentials, no Docker."""
