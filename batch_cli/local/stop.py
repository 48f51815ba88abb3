"""The ``batch-stack local stop`` command."""

import contextlib
import os
import signal
import time
from pathlib import Path

import click

from batch_cli.local.options import data_dir_option, none_is_running
from batch_engine.local.server.state import holder_pid

_POLL_S = 0.05


@click.command()
@data_dir_option
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait until its jobs and functions have ended.",
)
def stop(data_dir: Path, timeout_s: float) -> None:
    """Stop the local cloud. Its data stays."""
    pid = holder_pid(data_dir)
    if pid is None:
        raise none_is_running(data_dir)
    if pid == 0:
        raise click.ClickException(f"the local cloud on {data_dir} is still starting: try again")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    # Waits for the lock to be released, because another process may get the same process id.
    deadline = time.monotonic() + timeout_s
    while holder_pid(data_dir) == pid:
        if time.monotonic() > deadline:
            raise click.ClickException(f"the local cloud (pid {pid}) has not ended within {timeout_s:g} s")
        time.sleep(_POLL_S)
    click.echo(f"stopped the local cloud (pid {pid}); its data stays in {data_dir}")
