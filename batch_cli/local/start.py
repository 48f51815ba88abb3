"""``batch-stack local start``."""

import subprocess
import sys
import time
from pathlib import Path

import click

from batch_cli.local.options import data_dir_option
from batch_engine.local.server_state import (
    LOG_FILE,
    AlreadyRunningError,
    ServerOptions,
    ServerRecord,
    holder_pid,
    read_record,
)

_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.05
_TAIL_LINES = 20


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4566,
    show_default=True,
    help="Where to listen on 127.0.0.1; 0 takes a free port.",
)
@click.option(
    "--host-vcpus",
    type=click.FloatRange(min=0, min_open=True),
    help="How many vCPUs jobs may use at once.  [default: every core of this machine]",
)
@data_dir_option
@click.option(
    "--assembly",
    type=click.Path(file_okay=False, path_type=Path),
    help="The cloud assembly (cdk.out) with the images that jobs run.",
)
@click.option("--detach", is_flag=True, help="Return as soon as the endpoint answers; it goes on running.")
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="WARNING",
    show_default=True,
    help="What the log shows.",
)
def start(
    *,
    port: int,
    host_vcpus: float | None,
    data_dir: Path,
    assembly: Path | None,
    detach: bool,
    log_level: str,
) -> None:
    """Start a cloud on this machine, on 127.0.0.1.

    Without --detach it runs until Ctrl-C.
    """
    if (pid := holder_pid(data_dir)) is not None:
        raise click.ClickException(
            f"a local cloud is running on {data_dir} already (pid {pid}): "
            "stop it with `batch-stack local stop`, or choose another --data-dir"
        )
    if detach:
        command = ["--port", str(port), "--data-dir", str(data_dir), "--log-level", log_level]
        if host_vcpus is not None:
            command += ["--host-vcpus", str(host_vcpus)]
        if assembly is not None:
            command += ["--assembly", str(assembly)]
        _start_detached(data_dir, command)
    else:
        _run(
            ServerOptions(
                data_dir=data_dir,
                port=port,
                host_vcpus=host_vcpus,
                assembly=assembly,
                log_level=log_level.upper(),
            )
        )


def _run(options: ServerOptions) -> None:
    # Here, not at the top: whoever detaches, or reads the help, need not wait for MiniStack's import.
    from batch_engine.local.cloud import MiniStackMovedError  # noqa: PLC0415
    from batch_engine.local.cloud_http import PortInUseError  # noqa: PLC0415
    from batch_engine.local.server import run_server  # noqa: PLC0415

    try:
        run_server(options, on_ready=_announce)
    except (AlreadyRunningError, MiniStackMovedError, PortInUseError) as error:
        raise click.ClickException(str(error)) from error


def _announce(record: ServerRecord) -> None:
    click.echo(f"local cloud ready at {record.endpoint_url} (pid {record.pid})")


def _start_detached(data_dir: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "batch_cli.main", "local", "start", *options]
    data_dir.mkdir(parents=True, exist_ok=True)
    log_path = data_dir / LOG_FILE
    with log_path.open("wb") as log:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    record = _wait_until_ready(server, data_dir)
    if record is None:
        raise click.ClickException(f"the local cloud did not start, see {log_path}:\n{_tail(log_path)}")
    _announce(record)
    click.echo(f"log: {log_path}")


def _wait_until_ready(server: subprocess.Popen[bytes], data_dir: Path) -> ServerRecord | None:
    deadline = time.monotonic() + _READY_TIMEOUT_S
    try:
        while server.poll() is None and time.monotonic() < deadline:
            record = read_record(data_dir)
            if record is not None and record.pid == server.pid and record.answers():
                return record
            time.sleep(_POLL_S)
    except BaseException:
        _end(server)
        raise
    _end(server)
    return None


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _tail(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_TAIL_LINES:])
