"""A data folder keeps its port: on another, its queues would look alive and hand out nothing."""

from pathlib import Path

import pytest

from batch_engine.local.server.port import OtherPortError, remember_port, settle_port
from tests.conformance.cloud.conftest import LocalCloud


def _queues(data_dir: Path, port: int) -> None:
    (data_dir / "state").mkdir()
    (data_dir / "state" / "sqs.json").write_text(f'{{"queues": ["http://127.0.0.1:{port}/000000000000/q"]}}')


def test_a_new_folder_takes_any_port(tmp_path: Path) -> None:
    assert settle_port(tmp_path, 0) == 0
    assert settle_port(tmp_path, 4566) == 4566


def test_a_folder_without_queues_may_change_its_port(tmp_path: Path) -> None:
    remember_port(tmp_path, 5001)
    assert settle_port(tmp_path, 5002) == 5002
    assert settle_port(tmp_path, 0) == 0


def test_a_folder_with_queues_keeps_its_port(tmp_path: Path) -> None:
    remember_port(tmp_path, 5001)
    _queues(tmp_path, 5001)
    assert settle_port(tmp_path, 0) == 5001
    assert settle_port(tmp_path, 5001) == 5001
    with pytest.raises(OtherPortError, match=r"must be served on port 5001, .*, got --port 5002"):
        settle_port(tmp_path, 5002)


@pytest.mark.cloud
def test_a_message_waits_for_the_next_start_on_any_port(tmp_path: Path) -> None:
    cloud = LocalCloud(tmp_path / "data")
    cloud.start()
    try:
        url = cloud.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        cloud.client("sqs").send_message(QueueUrl=url, MessageBody="hello")
        port = cloud.record.port
        cloud.stop()

        refused = cloud.cli("start", "--detach", "--port", str(port + 1))
        assert refused.returncode == 1
        assert f"must be served on port {port}" in refused.stderr

        cloud.start()
        assert cloud.record.port == port
        sqs = cloud.client("sqs")
        (message,) = sqs.receive_message(QueueUrl=sqs.get_queue_url(QueueName="q")["QueueUrl"])["Messages"]
        assert message["Body"] == "hello"
    finally:
        cloud.stop()
