"""The options of a server, and its lock and its record in the data folder."""

import contextlib
import fcntl
import json
import os
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import URLError

from batch_engine.local.api.front import HEALTH_PATH
from batch_engine.local.base.private_files import make_private_folder

RECORD_FILE = "server.json"
LOCK_FILE = "server.lock"
LOG_FILE = "server.log"
OWNER_FILE = "owner.json"
DEFAULT_DATA_DIR = Path(".batch-stack")


class AlreadyRunningError(RuntimeError):
    """A server uses this data folder already."""


class OtherOwnerError(RuntimeError):
    """This data folder belongs to another account or Region."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The account and the Region of a data folder. They cannot change, because its ARNs contain them.

    Args:
        account: the 12-digit AWS account.
        region: the AWS Region.
    """

    account: str = "000000000000"
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of a server.

    Args:
        data_dir: everything is stored below it; made if absent.
        port: the port on 127.0.0.1; 0 takes a free one.
        host_vcpus: how many vCPUs jobs may use at once; None for every core of this machine.
        assembly: the cloud assembly (``cdk.out``) whose images jobs run; None without an assembly.
        account: the 12-digit AWS account that everything belongs to; None for the data folder's own.
        region: the AWS Region; None for the data folder's own.
        runtime: what jobs run as: ``process``, ``container``, or ``auto``.
        container_cli: the program that runs containers, as a name, a path or a command line; None for the
            first one that works.
        log_level: a level of Python's `logging`.
        enforce_iam: whether the IAM policies of its signer decide about each request.
        keep_jobs_s: how long ended jobs are remembered, in seconds.
        batch_only: whether AWS Batch runs without the rest of AWS.
    """

    data_dir: Path
    port: int = 4566
    host_vcpus: float | None = None
    assembly: Path | None = None
    account: str | None = None
    region: str | None = None
    runtime: str = "process"
    container_cli: str | None = None
    log_level: str = "WARNING"
    enforce_iam: bool = False
    keep_jobs_s: float = 7 * 24 * 3600
    batch_only: bool = False


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A running server, as other commands find it.

    Args:
        pid: its process.
        port: on 127.0.0.1.
        endpoint_url: the value for ``AWS_ENDPOINT_URL``.
        region: the AWS Region.
        account: the AWS account.
        started_at_s: epoch seconds.
        runtime: what jobs run as, in words for people.
        batch_only: whether it serves AWS Batch without the rest of AWS.
    """

    pid: int
    port: int
    endpoint_url: str
    region: str
    account: str
    started_at_s: float
    runtime: str = "process"
    batch_only: bool = False

    @classmethod
    def of_this_process(
        cls,
        endpoint_url: str,
        port: int,
        region: str,
        account: str,
        runtime: str = "process",
        *,
        batch_only: bool = False,
    ) -> "ServerRecord":
        """Describes a server that runs in this process and has just started."""
        return cls(os.getpid(), port, endpoint_url, region, account, time.time(), runtime, batch_only)

    def answers(self, timeout_s: float = 2.0) -> bool:
        """Asks the endpoint itself whether it is this server."""
        try:
            # A proxy from the user's environment has no part in this.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"{self.endpoint_url}{HEALTH_PATH}", timeout=timeout_s) as response:
                return bool(json.load(response)["pid"] == self.pid)
        except (URLError, OSError, ValueError, KeyError):
            return False


@contextlib.contextmanager
def exclusive(data_dir: Path) -> Iterator[None]:
    """Holds the lock of a data folder; the system releases it when the process ends in any way.

    Raises:
        AlreadyRunningError: another process holds it.
    """
    make_private_folder(data_dir)
    with (data_dir / LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            raise AlreadyRunningError(
                f"{data_dir} is in use by the server with pid {pid}: "
                "stop it with `batch-stack local stop`, or choose another --data-dir"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def settle_owner(data_dir: Path, account: str | None, region: str | None) -> Owner:
    """Returns the owner of a data folder; writes it in a new one, and checks it in others.

    Args:
        data_dir: the folder; its lock is held.
        account: None for the account that the folder has, or the default in a new folder.
        region: None for the Region that the folder has, or the default in a new folder.

    Raises:
        OtherOwnerError: it belongs to another.
    """
    path = data_dir / OWNER_FILE
    stored = Owner(**json.loads(path.read_text())) if path.exists() else None
    default = stored or Owner()
    owner = Owner(account or default.account, region or default.region)
    if stored is not None and stored != owner:
        raise OtherOwnerError(
            f"{data_dir} belongs to account {stored.account} in {stored.region}, "
            f"not to {owner.account} in {owner.region}: choose another --data-dir"
        )
    _write_whole(path, asdict(owner))
    return owner


def is_locked(data_dir: Path) -> bool:
    """Returns whether a server, ready or not, uses this data folder."""
    return holder_pid(data_dir) is not None


def holder_pid(data_dir: Path) -> int | None:
    """Returns the id of the process that holds the lock of a data folder, or None."""
    try:
        lock = (data_dir / LOCK_FILE).open("r")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = lock.read().strip()
            return int(text) if text.isdigit() else 0
        return None


def read_record(data_dir: Path) -> ServerRecord | None:
    """Returns the record of a data folder's server; None if no server is ready."""
    if not is_locked(data_dir):
        return None
    try:
        return ServerRecord(**json.loads((data_dir / RECORD_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_record(data_dir: Path, record: ServerRecord) -> None:
    """Writes the record in one step: readers see the whole record or none."""
    _write_whole(data_dir / RECORD_FILE, asdict(record))


def remove_record(data_dir: Path) -> None:
    """Removes the record, if there is one."""
    (data_dir / RECORD_FILE).unlink(missing_ok=True)


def _write_whole(path: Path, document: dict[str, object]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(document, indent=2) + "\n")
    partial.replace(path)
