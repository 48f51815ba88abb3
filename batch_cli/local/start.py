"""The ``batch-stack local start`` command."""

import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import click

from batch_cli.durations import Duration
from batch_cli.local.options import data_dir_option
from batch_engine.local.base.private_files import make_private_file, make_private_folder
from batch_engine.local.server.port import OtherPortError
from batch_engine.local.server.state import (
    LOG_FILE,
    AlreadyRunningError,
    OtherOwnerError,
    ServerOptions,
    ServerRecord,
    holder_pid,
    read_record,
)

_READY_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.05
_TAIL_LINES = 20


def _matching(pattern: str, words: str) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        if value is not None and re.fullmatch(pattern, value) is None:
            raise click.BadParameter(f"must be {words}, got {value!r}", context, parameter)
        return value

    return check


def _a_number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    # FloatRange accepts nan, because every comparison with nan is false.
    if value is not None and math.isnan(value):
        raise click.BadParameter("must be a number of vCPUs, got nan", context, parameter)
    return value


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=4566,
    show_default=True,
    help="The port on 127.0.0.1; 0 takes a free port.",
)
@click.option(
    "--host-vcpus",
    type=click.FloatRange(min=0, min_open=True, max=100_000),
    callback=_a_number,
    help="The number of vCPUs that jobs may use at once.  [default: all cores of this machine]",
)
@data_dir_option
@click.option(
    "--assembly",
    type=click.Path(file_okay=False, path_type=Path),
    help="The cloud assembly (cdk.out) with the images that jobs run.",
)
@click.option(
    "--account",
    callback=_matching(r"[0-9]{12}", "12 digits"),
    help="The id of the AWS account.  [default: 000000000000]",
)
@click.option(
    "--region",
    callback=_matching(r"[a-z]{2,3}(-[a-z]+)+-[0-9]", "a Region such as eu-west-1"),
    help="The AWS Region.  [default: us-east-1]",
)
@click.option(
    "--runtime",
    type=click.Choice(["process", "container", "auto"]),
    default="process",
    show_default=True,
    help="Run jobs as processes or in containers. auto uses containers if a container CLI works.",
)
@click.option(
    "--container-cli",
    envvar="BATCH_STACK_CONTAINER_CLI",
    show_envvar=True,
    help="The container CLI: a name, a path, or a command line such as 'podman --root /x'.  "
    "[default: the first of docker, podman, finch and nerdctl that works]",
)
@click.option(
    "--enforce-iam",
    is_flag=True,
    help="Check requests against the IAM policies of their signer. `local env` prints administrator keys.",
)
@click.option(
    "--detach", is_flag=True, help="Return as soon as the server answers. It runs on in the background."
)
@click.option(
    "--keep-jobs",
    "keep_jobs_s",
    type=Duration(min_s=1, max_s=3650 * 86400),
    default="7d",
    show_default=True,
    help="How long ended jobs are kept in memory and on disk, such as 30m, 12h or 7d.",
)
@click.option(
    "--batch-only",
    is_flag=True,
    help="Start AWS Batch without the rest of AWS: no events, roles or stacks; job logs are files in "
    "<data-dir>/logs.",
)
@click.option(
    "--log-level",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"], case_sensitive=False),
    default="WARNING",
    show_default=True,
    help="The lowest level of log records that are written.",
)
def start(
    *,
    port: int,
    host_vcpus: float | None,
    data_dir: Path,
    assembly: Path | None,
    account: str | None,
    region: str | None,
    runtime: str,
    container_cli: str | None,
    enforce_iam: bool,
    keep_jobs_s: float,
    batch_only: bool,
    detach: bool,
    log_level: str,
) -> None:
    """Start a cloud on 127.0.0.1.

    Without --detach it runs until Ctrl-C. The account and the Region of a data folder cannot change later.
    """
    if (pid := holder_pid(data_dir)) is not None:
        raise click.ClickException(
            f"a local cloud is already running on {data_dir} (pid {pid}): "
            "stop it with `batch-stack local stop`, or choose another --data-dir"
        )
    if batch_only and enforce_iam:
        raise click.UsageError("--enforce-iam needs IAM, which --batch-only leaves out: give one of the two")
    options = ServerOptions(
        data_dir=data_dir,
        port=port,
        host_vcpus=host_vcpus,
        assembly=assembly,
        account=account,
        region=region,
        runtime=runtime,
        container_cli=container_cli or None,
        log_level=log_level.upper(),
        enforce_iam=enforce_iam,
        keep_jobs_s=keep_jobs_s,
        batch_only=batch_only,
    )
    if detach:
        _start_detached(data_dir, _as_arguments(options))
    else:
        _run(options)


def _as_arguments(options: ServerOptions) -> list[str]:
    words: list[str] = []
    for name, value in asdict(options).items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif name.endswith("_s"):
            words += [option.removesuffix("-s"), f"{value}s"]
        elif value is not None and value is not False:
            words += [option, str(value)]
    return words


def _run(options: ServerOptions) -> None:
    # Imported here, so that --detach and --help do not wait for the import of MiniStack.
    from batch_engine.local.ministack.internals import MiniStackMovedError  # noqa: PLC0415
    from batch_engine.local.server.server import PortInUseError, RuntimeUnavailableError, run_server  # noqa: PLC0415
    from batch_engine.local.store.store import StoreError  # noqa: PLC0415

    refusals = (
        AlreadyRunningError,
        MiniStackMovedError,
        OtherOwnerError,
        OtherPortError,
        PortInUseError,
        RuntimeUnavailableError,
        StoreError,
    )

    try:
        run_server(options, on_ready=_announce)
    except refusals as error:
        raise click.ClickException(str(error)) from error


def _announce(record: ServerRecord) -> None:
    click.echo(f"local cloud ready at {record.endpoint_url} (pid {record.pid})")
    if record.runtime != "process":
        click.echo(f"jobs run as: {record.runtime}")


def _start_detached(data_dir: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "batch_cli.main", "local", "start", *options]
    make_private_folder(data_dir)
    log_path = data_dir / LOG_FILE
    make_private_file(log_path)
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
