"""The port of a data folder: the URLs of SQS queues contain it, so it cannot change once there are queues."""

from pathlib import Path

PORT_FILE = "port"
_QUEUES = Path("state") / "sqs.json"


class OtherPortError(RuntimeError):
    """The queues of this data folder are reachable on another port only."""


def settle_port(data_dir: Path, port: int) -> int:
    """Returns the port on which to serve a data folder.

    On another port, queues would look alive but deliver no message.

    Args:
        data_dir: the folder; its lock is held.
        port: the requested port; 0 takes the folder's own, or a free one if the folder has none.

    Raises:
        OtherPortError: its queues have URLs with another port.
    """
    stored = _stored(data_dir)
    if stored is None or port == stored or not _has_queues(data_dir, stored):
        return port
    if port == 0:
        return stored
    raise OtherPortError(
        f"{data_dir} must be served on port {stored}, which the URLs of its SQS queues name, got --port "
        f"{port}: give --port {stored}, or --port 0, which takes it, or another --data-dir"
    )


def remember_port(data_dir: Path, port: int) -> None:
    """Writes the port on which a data folder is served."""
    partial = data_dir / f"{PORT_FILE}.partial"
    partial.write_text(f"{port}\n", encoding="ascii")
    partial.replace(data_dir / PORT_FILE)


def _stored(data_dir: Path) -> int | None:
    try:
        return int((data_dir / PORT_FILE).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None


def _has_queues(data_dir: Path, port: int) -> bool:
    try:
        return f"http://127.0.0.1:{port}/" in (data_dir / _QUEUES).read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
