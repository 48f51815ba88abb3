"""What a ``kill -9`` of the cloud leaves: its resources, and no process."""

import json
from typing import Any

import psutil
import pytest

from tests.conformance.cloud.conftest import LocalCloud
from tests.conformance.cloud.test_server import ROLE_TRUST, function, invoke
from tests.conformance.cloud.test_stacks import Stack, template
from tests.support import wait_for

pytestmark = pytest.mark.cloud


def snapshot_holds(cloud: LocalCloud, service: str, text: str) -> None:
    path = cloud.data_dir / "state" / f"{service}.json"
    wait_for(lambda: path.exists() and text in path.read_text(), f"{text} in the snapshot of {service}")


def waiting(handle: str) -> dict[str, Any]:
    """A resource that is never ready: nobody signals its handle."""
    return {
        handle: {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        f"{handle}Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": handle}, "Timeout": "600"},
        },
    }


def test_everything_is_there_again_after_a_kill(own_cloud: LocalCloud) -> None:
    stack = Stack(own_cloud, "kept")
    assert stack.deploy(template()) == "CREATE_COMPLETE", stack.reasons()
    outputs = stack.outputs()
    own_cloud.client("s3").create_bucket(Bucket="kept-bucket")
    own_cloud.client("s3").put_object(Bucket="kept-bucket", Key="a b/ü+.txt", Body=b"kept")
    own_cloud.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument=json.dumps(ROLE_TRUST))
    topic = own_cloud.client("sns").create_topic(Name="kept")["TopicArn"]
    own_cloud.client("events").put_rule(Name="kept", EventPattern='{"source": ["x"]}')
    own_cloud.client("dynamodb").create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    function(own_cloud, "kept", "def handler(event, context): return 'kept'")
    assert invoke(own_cloud, "kept") == "kept"
    for service in ("cloudformation", "dynamodb", "eventbridge", "iam", "lambda", "s3", "sns"):
        snapshot_holds(own_cloud, service, "kept")
    processes = own_cloud.processes()

    own_cloud.kill()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == [], "functions' processes end with the server"
    own_cloud.start()

    stack = Stack(own_cloud, "kept")
    assert stack.status() == "CREATE_COMPLETE"
    assert stack.outputs() == outputs
    assert stack.environments(outputs["Ce"])[0]["status"] == "VALID"
    kept = own_cloud.client("s3").get_object(Bucket="kept-bucket", Key="a b/ü+.txt")
    assert kept["Body"].read() == b"kept"
    assert own_cloud.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    assert own_cloud.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["TopicArn"] == topic
    assert own_cloud.client("events").describe_rule(Name="kept")["State"] == "ENABLED"
    assert own_cloud.client("dynamodb").describe_table(TableName="kept")["Table"]["TableStatus"] == "ACTIVE"
    assert invoke(own_cloud, "kept") == "kept"
    assert stack.deploy(template(priority=3), update=True) == "UPDATE_COMPLETE", stack.reasons()
    stack.delete()


def test_a_deployment_that_was_cut_short_can_be_taken_up_again(own_cloud: LocalCloud) -> None:
    creating, updating = Stack(own_cloud, "creating"), Stack(own_cloud, "updating")
    assert updating.deploy(template()) == "CREATE_COMPLETE", updating.reasons()
    outputs = updating.outputs()
    blocked = template(max_vcpus=8)
    blocked["Resources"] |= waiting("Handle")
    creating.cloudformation.create_stack(StackName="creating", TemplateBody=json.dumps(blocked))
    updating.cloudformation.update_stack(StackName="updating", TemplateBody=json.dumps(blocked))
    snapshot_holds(own_cloud, "cloudformation", '"StackStatus": "CREATE_IN_PROGRESS"')
    snapshot_holds(own_cloud, "cloudformation", '"StackStatus": "UPDATE_IN_PROGRESS"')

    own_cloud.kill()
    own_cloud.start()

    creating, updating = Stack(own_cloud, "creating"), Stack(own_cloud, "updating")
    assert creating.status() == "ROLLBACK_FAILED"
    creating.delete()
    assert updating.status() == "UPDATE_FAILED"
    updating.cloudformation.rollback_stack(StackName="updating")
    assert updating.settled() == "UPDATE_ROLLBACK_COMPLETE", updating.reasons()
    assert updating.deploy(template(max_vcpus=16), update=True) == "UPDATE_COMPLETE", updating.reasons()
    assert updating.environments(outputs["Ce"])[0]["computeResources"]["maxvCpus"] == 16
    updating.delete()


def test_what_an_update_keeps_is_remembered_over_a_kill_and_stays_active_after_the_rollback(
    own_cloud: LocalCloud,
) -> None:
    stack = Stack(own_cloud, "keeping")
    body = template()
    properties = body["Resources"]["Def"]["Properties"]
    properties["ResourceRetentionPolicy"] = {"SkipDeregisterOnUpdate": True}
    assert stack.deploy(body) == "CREATE_COMPLETE", stack.reasons()
    first = stack.outputs()["Def"]
    properties["ContainerProperties"]["Command"] = ["false"]
    # The new revision is there, and the old one is not cleaned up: another resource is not ready.
    body["Resources"] |= waiting("Handle")
    body["Resources"]["HandleWait"]["DependsOn"] = ["Def"]
    stack.cloudformation.update_stack(StackName="keeping", TemplateBody=json.dumps(body))
    second = f"{first.rpartition(':')[0]}:2"
    wait_for(lambda: definition_status(own_cloud, second) == "ACTIVE", "the second revision")
    snapshot_holds(own_cloud, "cloudformation", '"StackStatus": "UPDATE_IN_PROGRESS"')

    own_cloud.kill()
    own_cloud.start()

    kept = json.loads((own_cloud.data_dir / "kept_revisions.json").read_text())
    assert kept == {second: first}
    stack = Stack(own_cloud, "keeping")
    stack.cloudformation.rollback_stack(StackName="keeping")
    assert stack.settled() == "UPDATE_ROLLBACK_COMPLETE", stack.reasons()
    assert definition_status(own_cloud, first) == "ACTIVE"


def definition_status(cloud: LocalCloud, arn: str) -> str:
    found = cloud.client("batch").describe_job_definitions(jobDefinitions=[arn])["jobDefinitions"]
    return str(found[0]["status"]) if found else "absent"


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_function_that_is_busy_ends_with_the_server(own_cloud: LocalCloud, end: str) -> None:
    busy = "import subprocess\ndef handler(event, context): subprocess.run(['sleep', '120'])"
    function(own_cloud, "busy", busy)
    own_cloud.client("lambda").invoke(FunctionName="busy", InvocationType="Event")

    def processes() -> list[psutil.Process]:
        found = own_cloud.processes()
        return found if any("sleep" in process.cmdline() for process in found) else []

    everything = wait_for(processes, "the handler at work")
    getattr(own_cloud, end)()
    _, alive = psutil.wait_procs(everything, timeout=10)
    assert alive == []
