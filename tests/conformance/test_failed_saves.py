"""A state file that cannot be written for a while: what is acknowledged is saved, and nothing is lost."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from batch_engine.local.engine.build import STATE_FILE
from batch_engine.local.store.store import Store
from tests.support import Endpoint, running_endpoint, wait_for

pytestmark = pytest.mark.cloud


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    with running_endpoint(tmp_path / "data", host_vcpus=1) as running:
        running.queue("q", running.environment())
        yield running


def connection(endpoint: Endpoint) -> sqlite3.Connection:
    return endpoint.engine._store._connection


def saved(data_dir: Path) -> dict[str, str]:
    """What another process would read: job statuses by id."""
    store = Store(data_dir / STATE_FILE)
    try:
        return {entity.id: entity.status for entity in store.load() if hasattr(entity, "attempts")}
    finally:
        store.close()


def refused(endpoint: Endpoint, **request: object) -> None:
    with pytest.raises(ClientError) as failed:
        endpoint.batch.submit_job(jobName="j", jobQueue="q", jobDefinition="d", **request)
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert failed.value.response["Error"]["Code"] == "ServerException"


def test_a_full_disk_acknowledges_nothing_and_is_got_over(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint.definition("d", ["true"])
    pages = connection(endpoint).execute("PRAGMA page_count").fetchone()[0]
    connection(endpoint).execute(f"PRAGMA max_page_count = {pages}")
    before = saved(endpoint.data_dir)
    refused(endpoint, parameters={"filler": "x" * 20_000})
    assert "database or disk is full" in caplog.text, "it is said aloud"
    assert saved(endpoint.data_dir) == before
    # What is not saved is shown to nobody.
    with pytest.raises(ClientError, match="ServerException"):
        endpoint.batch.list_jobs(jobQueue="q")
    connection(endpoint).execute("PRAGMA max_page_count = 1000000")
    job = endpoint.wait(endpoint.submit("q", "d"))
    assert job["status"] == "SUCCEEDED"
    assert saved(endpoint.data_dir)[job["jobId"]] == "SUCCEEDED"


def test_ends_and_starts_of_jobs_that_could_not_be_saved_are_made_up_for(
    endpoint: Endpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first job ends while nothing can be saved: afterwards the second one starts without any request."""
    gate, proof = tmp_path / "gate", tmp_path / "proof"
    endpoint.definition(
        "d", ["/bin/sh", "-c", f"while ! test -e {gate}; do sleep 0.05; done; echo >> {proof}"]
    )
    first, second = endpoint.submit("q", "d"), endpoint.submit("q", "d")
    endpoint.wait(first, "RUNNING")
    with endpoint.engine._lock:
        connection(endpoint).execute("PRAGMA query_only = ON")
    gate.touch()
    wait_for(lambda: "readonly database" in caplog.text, "the failure in the log")
    assert saved(endpoint.data_dir)[first] == "RUNNING"
    with endpoint.engine._lock:
        connection(endpoint).execute("PRAGMA query_only = OFF")
    wait_for(lambda: saved(endpoint.data_dir)[second] == "SUCCEEDED", "the end of the second job")
    assert saved(endpoint.data_dir)[first] == "SUCCEEDED"
    assert proof.read_text() == "\n\n", "each ran once"
