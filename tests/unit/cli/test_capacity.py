"""``batch-stack local capacity``: what it refuses, and what it asks a server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from batch_cli.local.capacity import capacity
from batch_engine.local.server.state import ServerRecord, exclusive, write_record


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--instance-type", "m6i"], "together with --unavailable or --available"),
        (["--unavailable"], "together with --unavailable or --available"),
        ([], "no local cloud is running on"),
    ],
)
def test_refused(tmp_path, arguments, message):
    result = CliRunner().invoke(capacity, ["--data-dir", str(tmp_path), *arguments])
    assert result.exit_code != 0
    assert message in result.output


class Answers(BaseHTTPRequestHandler):
    asked: list[tuple[str, dict[str, object]]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, request))
        known = request.get("instanceTypes") != ["x99"]
        document = {"unavailable": ["m6i.large", "m6i.xlarge"]} if known else {"message": "no such type x99"}
        self.send_response(200 if known else 400)
        self.end_headers()
        self.wfile.write(json.dumps(document).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    Answers.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    port = server.server_address[1]
    with exclusive(tmp_path):
        record = ServerRecord.of_this_process(f"http://127.0.0.1:{port}", port, "us-east-1", "000000000000")
        write_record(tmp_path, record)
        yield tmp_path
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("arguments", "request_"),
    [
        ([], {}),
        (["--instance-type", "m6i", "--unavailable"], {"instanceTypes": ["m6i"], "available": False}),
        (
            ["--instance-type", "m6i.large", "--instance-type", "c7i", "--available"],
            {"instanceTypes": ["m6i.large", "c7i"], "available": True},
        ),
    ],
)
def test_asks_and_shows_what_is_out(data_dir, arguments, request_):
    result = CliRunner().invoke(capacity, ["--data-dir", str(data_dir), *arguments])
    assert result.exit_code == 0, result.output
    assert result.output == "unavailable instance types: m6i.large, m6i.xlarge\n"
    assert Answers.asked == [("/_batch-stack/capacity", request_)]


def test_shows_the_servers_own_refusal(data_dir):
    arguments = ["--data-dir", str(data_dir), "--instance-type", "x99", "--unavailable"]
    result = CliRunner().invoke(capacity, arguments)
    assert result.exit_code == 1
    assert "no such type x99" in result.output
