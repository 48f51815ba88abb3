"""What the ``local`` commands say of a server that does not answer."""

import socket

import click
import pytest

from batch_cli.local import own_api
from batch_engine.local.server.state import ServerRecord


def record(port):
    return ServerRecord.of_this_process(f"http://127.0.0.1:{port}", port, "us-east-1", "000000000000")


@pytest.mark.parametrize(("backlog", "reason"), [(None, "refused"), (1, "timed out")])
def test_a_server_that_does_not_answer(monkeypatch, backlog, reason):
    monkeypatch.setattr(own_api, "_TIMEOUT_S", 0.2)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        if backlog is not None:
            bound.listen(backlog)  # and never accept
        port = bound.getsockname()[1]
        with pytest.raises(click.ClickException, match=f"127.0.0.1:{port} does not answer: .*{reason}"):
            own_api.post(record(port), "/_batch-stack/interrupt", {})
