"""Multi-node parallel jobs seen through boto3: real processes that talk over their addresses."""

import json
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.cloud

PORT = 18_765
TALK = f"""
import json, os, socket, sys, time
index, count = int(os.environ["AWS_BATCH_JOB_NODE_INDEX"]), int(os.environ["AWS_BATCH_JOB_NUM_NODES"])
main = int(os.environ["AWS_BATCH_JOB_MAIN_NODE_INDEX"])
address = os.environ.get("AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS")
if index == main:
    assert address is None
    server = socket.create_server((sys.argv[1], {PORT}))
    met = []
    for _ in range(count - 1):
        peer, _ = server.accept()
        met.append(peer.recv(100).decode())
        peer.close()
    print(json.dumps(sorted(met)))
else:
    deadline = time.monotonic() + 20
    while True:
        try:
            peer = socket.create_connection((address, {PORT}), timeout=5)
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    peer.sendall(os.environ["AWS_BATCH_JOB_ID"].encode())
    time.sleep(60)
"""


@pytest.fixture
def queue(endpoint: Any) -> str:
    return str(endpoint.queue("standard", endpoint.environment(max_vcpus=64)))


def define(endpoint: Any, ranges: dict[str, list[str]], count: int, **request: Any) -> str:
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    entries = [
        {
            "targetNodes": target,
            "container": {"image": "i", "command": command, "resourceRequirements": requirements},
        }
        for target, command in ranges.items()
    ]
    registered = endpoint.batch.register_job_definition(
        jobDefinitionName="nodes",
        type="multinode",
        nodeProperties={"numNodes": count, "mainNode": 0, "nodeRangeProperties": entries},
        **request,
    )
    return str(registered["jobDefinitionArn"])


def test_nodes_reach_the_main_node_by_its_address(endpoint: Any, queue: str) -> None:
    # The main node listens on the address that its attempt will have: the first of this engine.
    definition = define(endpoint, {"0:": [sys.executable, "-c", TALK, "127.1.0.1"]}, 3)
    job_id = endpoint.submit(queue, definition)
    job = endpoint.wait(job_id)
    assert job["status"] == "SUCCEEDED", endpoint.job(f"{job_id}#0")
    main, first, second = (endpoint.job(f"{job_id}#{index}") for index in range(3))
    assert json.loads(endpoint.log(main)[0]) == [first["jobId"], second["jobId"]]
    addresses = {
        node["attempts"][0]["container"]["networkInterfaces"][0]["privateIpv4Address"]
        for node in (main, first, second)
    }
    assert len(addresses) == 3
    assert (first["status"], first["container"]["exitCode"]) == ("FAILED", 143), "stopped with the main node"
    listed = endpoint.batch.list_jobs(multiNodeJobId=job_id, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert [item["jobId"] for item in listed] == [f"{job_id}#0"]


def test_main_node_that_fails_is_tried_again_with_all_nodes(endpoint: Any, queue: str) -> None:
    main = ["/bin/sh", "-c", "test $AWS_BATCH_JOB_ATTEMPT = 2"]
    definition = define(endpoint, {"0": main, "1:": ["/bin/sleep", "60"]}, 2, retryStrategy={"attempts": 2})
    job = endpoint.wait(endpoint.submit(queue, definition))
    assert job["status"] == "SUCCEEDED"
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 0]
    assert len(endpoint.job(f"{job['jobId']}#1")["attempts"]) == 2


def test_terminating_stops_every_node(endpoint: Any, queue: str) -> None:
    job_id = endpoint.submit(queue, define(endpoint, {"0:": ["/bin/sleep", "60"]}, 3))
    for index in range(3):
        endpoint.wait(f"{job_id}#{index}", "RUNNING")
    endpoint.batch.terminate_job(jobId=job_id, reason="enough")
    job = endpoint.wait(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "enough")
    assert {endpoint.job(f"{job_id}#{index}")["status"] for index in range(3)} == {"FAILED"}
