"""Updates of stacks while jobs run: what becomes of the jobs, and of updates that cannot be carried out."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_stacks import Stack, template
from tests.held_jobs import HeldJobs
from tests.support import wait_for

pytestmark = pytest.mark.cloud

RETRIED = {
    "attempts": 2,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}


@pytest.fixture
def jobs(cloud: LocalCloud, tmp_path: Path) -> HeldJobs:
    return HeldJobs(cloud.client("batch"), tmp_path)


def in_place(instance_type: str, *, terminate: bool) -> dict[str, Any]:
    """The template of a stack whose instances an update replaces in place."""
    policy = {"TerminateJobsOnUpdate": terminate, "JobExecutionTimeoutMinutes": 30}
    body = template(max_vcpus=8, UpdatePolicy=policy)
    compute = body["Resources"]["Ce"]["Properties"]["ComputeResources"]
    compute |= {"AllocationStrategy": "BEST_FIT_PROGRESSIVE", "InstanceTypes": [instance_type]}
    return body


def deployed(cloud: LocalCloud, name: str, body: dict[str, Any]) -> tuple[Stack, str, str]:
    """A stack, its queue and its job definition."""
    stack = Stack(cloud, name)
    assert stack.deploy(body) == "CREATE_COMPLETE", stack.reasons()
    return stack, stack.outputs()["Queue"], stack.outputs()["Def"]


def test_an_update_that_terminates_jobs_leaves_them_to_their_own_retry_rules(
    cloud: LocalCloud, jobs: HeldJobs
) -> None:
    stack, queue, definition = deployed(cloud, "terminating", in_place("m6i", terminate=True))
    retried = jobs.submit(queue, definition, retryStrategy=RETRIED)
    once = jobs.submit(queue, definition)
    for job_id in (retried, once):
        jobs.wait(job_id, "RUNNING")

    body = in_place("c6i", terminate=True)
    assert stack.deploy(body, update=True) == "UPDATE_COMPLETE", stack.reasons()
    failed = jobs.wait(once, "FAILED")
    assert failed["statusReason"].startswith("Host EC2 (instance i-")
    again = jobs.wait(retried, "RUNNING")
    assert [attempt["statusReason"][:19] for attempt in again["attempts"]] == ["Host EC2 (instance "]

    jobs.let_all_go()
    assert len(jobs.wait(retried, "SUCCEEDED", "FAILED")["attempts"]) == 2
    assert jobs.described()[retried]["status"] == "SUCCEEDED"
    stack.delete()


def test_an_update_that_does_not_terminate_jobs_waits_for_them(cloud: LocalCloud, jobs: HeldJobs) -> None:
    stack, queue, definition = deployed(cloud, "patient", in_place("m6i", terminate=False))
    old = jobs.submit(queue, definition)
    jobs.wait(old, "RUNNING")
    change = {"TemplateBody": json.dumps(in_place("c6i", terminate=False)), "StackName": stack.name}
    stack.cloudformation.update_stack(**change)
    ce = stack.outputs()["Ce"]
    wait_for(lambda: stack.environments(ce)[0]["status"] == "UPDATING", "the update of the environment")

    new = jobs.submit(queue, definition)
    jobs.wait(new, "RUNNING")
    assert stack.status() == "UPDATE_IN_PROGRESS"
    assert jobs.described()[old]["status"] == "RUNNING"

    jobs.let_go(jobs.described()[old])
    assert stack.settled() == "UPDATE_COMPLETE", stack.reasons()
    assert jobs.described()[old]["status"] == "SUCCEEDED"
    assert jobs.described()[new]["status"] == "RUNNING"
    jobs.let_all_go()
    jobs.wait(new, "SUCCEEDED")
    stack.delete()


def test_an_update_that_fails_rolls_back_beneath_running_jobs(cloud: LocalCloud, jobs: HeldJobs) -> None:
    stack, queue, definition = deployed(cloud, "rolled-back", in_place("m6i", terminate=False))
    running = jobs.submit(queue, definition)
    started = jobs.wait(running, "RUNNING")["startedAt"]
    waiting = jobs.submit(queue, definition, dependsOn=[{"jobId": running}])

    broken = template(max_vcpus=4, command="false")
    broken["Resources"]["Ce"] = in_place("m6i", terminate=False)["Resources"]["Ce"]
    broken["Resources"]["Ce"]["Properties"]["ComputeResources"]["MaxvCpus"] = 2
    order = broken["Resources"]["Queue"]["Properties"]["ComputeEnvironmentOrder"]
    order.append({"ComputeEnvironment": "no-such", "Order": 2})
    broken["Resources"]["Queue"]["DependsOn"] = ["Ce", "Def"]
    assert stack.deploy(broken, update=True) == "UPDATE_ROLLBACK_COMPLETE"
    assert "no-such" in stack.reasons()

    assert stack.environments(stack.outputs()["Ce"])[0]["computeResources"]["maxvCpus"] == 8
    now = jobs.described()
    assert (now[running]["status"], now[running]["startedAt"]) == ("RUNNING", started)
    assert now[waiting]["status"] == "PENDING"
    jobs.let_all_go()
    jobs.wait(waiting, "SUCCEEDED")
    jobs.wait(jobs.submit(queue, definition), "SUCCEEDED")
    stack.delete()


def test_removing_an_environment_that_a_queue_outside_uses_keeps_it_and_its_jobs(
    cloud: LocalCloud, jobs: HeldJobs
) -> None:
    body = template()
    body["Resources"]["Other"] = in_place("m6i", terminate=False)["Resources"]["Ce"]
    body["Outputs"]["Other"] = {"Value": {"Ref": "Other"}}
    stack, _, definition = deployed(cloud, "removing", body)
    other = stack.outputs()["Other"]
    order = [{"order": 1, "computeEnvironment": other}]
    stack.batch.create_job_queue(jobQueueName="its-user", priority=1, computeEnvironmentOrder=order)
    job = jobs.submit("its-user", definition)
    jobs.wait(job, "RUNNING")

    assert stack.deploy(template(), update=True) == "UPDATE_COMPLETE", "cleaning up does not fail an update"
    assert "found existing JobQueue relationship" in stack.reasons()
    assert stack.environments(other)[0]["status"] == "VALID"
    assert jobs.described()[job]["status"] == "RUNNING"
    jobs.let_all_go()
    jobs.wait(job, "SUCCEEDED")

    stack.batch.update_job_queue(jobQueue="its-user", state="DISABLED")
    stack.batch.delete_job_queue(jobQueue="its-user")
    wait_for(lambda: not stack.batch.describe_job_queues(jobQueues=["its-user"])["jobQueues"], "its deletion")
    stack.delete()
    assert stack.environments(other) == []


def test_a_change_set_notices_that_environments_change_places(cloud: LocalCloud) -> None:
    def body(first: str, second: str) -> dict[str, Any]:
        made = template()
        made["Resources"]["Other"] = made["Resources"]["Ce"]
        made["Resources"]["Queue"]["Properties"]["ComputeEnvironmentOrder"] = [
            {"ComputeEnvironment": {"Fn::GetAtt": [name, "ComputeEnvironmentArn"]}, "Order": place}
            for place, name in enumerate((first, second), 1)
        ]
        return made

    stack, _, _ = deployed(cloud, "places", body("Ce", "Other"))

    def proposed(template_body: dict[str, Any]) -> dict[str, Any]:
        name = {"StackName": stack.name, "ChangeSetName": "edit"}
        stack.cloudformation.create_change_set(**name, TemplateBody=json.dumps(template_body))
        described = wait_for(
            lambda: (
                (found := stack.cloudformation.describe_change_set(**name))["Status"].endswith(
                    ("COMPLETE", "FAILED")
                )
                and found
            ),
            "the change set",
        )
        stack.cloudformation.delete_change_set(**name)
        return dict(described)

    assert proposed(body("Ce", "Other"))["Status"] == "FAILED", "nothing changes"
    swapped = proposed(body("Other", "Ce"))
    assert [change["ResourceChange"]["LogicalResourceId"] for change in swapped["Changes"]] == ["Queue"]
    stack.delete()
