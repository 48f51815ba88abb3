"""The job table, the database, the event bus and the work queue."""

import json

import pytest

from tests.stack.reading import Template

pytestmark = pytest.mark.stack

JOB_ROLE, EXECUTION_ROLE = "WorkJobJobRole", "WorkJobExecutionRole"


def test_the_job_table_is_paid_by_request_restorable_and_kept(everything: Template, plain: Template) -> None:
    name, table = everything.one("DynamoDB::Table")
    properties = table["Properties"]
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["KeySchema"] == [{"AttributeName": "job_id", "KeyType": "HASH"}]
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["SSESpecification"]["SSEType"] == "KMS"
    assert properties["DeletionProtectionEnabled"] is True
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert "TableName" not in properties
    _, other = plain.one("DynamoDB::Table")
    assert other["Properties"]["SSESpecification"] == {"SSEEnabled": False}  # the key is DynamoDB's own
    assert other["Properties"].get("DeletionProtectionEnabled", False) is False
    assert other["DeletionPolicy"] == "Delete"
    assert everything.outputs["JobTableName"] == {"Value": {"Ref": name}}


def test_jobs_read_put_and_change_items_and_delete_none(everything: Template) -> None:
    name, _ = everything.one("DynamoDB::Table")
    assert everything.environment("WorkJob")["JOB_TABLE"] == {"Ref": name}
    assert everything.actions_on(JOB_ROLE, name) == {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
    }


def test_the_database_is_serverless_encrypted_private_and_protected(everything: Template) -> None:
    _, cluster = everything.one("RDS::DBCluster")
    properties = cluster["Properties"]
    assert properties["Engine"] == "aurora-postgresql"
    assert properties["ServerlessV2ScalingConfiguration"] == {"MinCapacity": 0, "MaxCapacity": 4}
    assert (properties["DatabaseName"], properties["BackupRetentionPeriod"]) == ("outcomes", 9)
    assert properties["StorageEncrypted"] is True
    assert properties["EnableIAMDatabaseAuthentication"] is True
    assert properties["DeletionProtection"] is True
    assert cluster["DeletionPolicy"] == cluster["UpdateReplacePolicy"] == "Snapshot"
    _, instance = everything.one("RDS::DBInstance")
    assert instance["Properties"]["DBInstanceClass"] == "db.serverless"
    assert instance["Properties"]["PubliclyAccessible"] is False
    _, group = everything.one("RDS::DBClusterParameterGroup")
    assert group["Properties"]["Parameters"] == {"rds.force_ssl": "1"}


def test_a_database_that_may_go_goes_without_protest(plain: Template) -> None:
    _, cluster = plain.one("RDS::DBCluster")
    assert cluster["Properties"].get("DeletionProtection", False) is False
    assert cluster["DeletionPolicy"] == "Delete"
    assert "KmsKeyId" not in cluster["Properties"]
    assert cluster["Properties"]["StorageEncrypted"] is True


def test_the_database_is_in_subnets_without_a_way_out_and_admits_jobs_only(everything: Template) -> None:
    _, subnets = everything.one("RDS::DBSubnetGroup")
    names = [one["Ref"] for one in subnets["Properties"]["SubnetIds"]]
    assert len(names) == 2
    assert all("IsolatedSubnet" in name for name in names)
    assert not [name for name in everything.of("EC2::Route") if "Isolated" in name]
    group, resource = everything.one("EC2::SecurityGroup", "DatabaseSecurityGroup")
    assert "SecurityGroupIngress" not in resource["Properties"]
    (rule,) = (
        one["Properties"]
        for one in everything.of("EC2::SecurityGroupIngress").values()
        if one["Properties"]["GroupId"]["Fn::GetAtt"][0] == group
    )
    jobs, _ = everything.one("EC2::SecurityGroup", "NetworkJobSecurityGroup")
    assert (rule["FromPort"], rule["ToPort"]) == (5432, 5432)
    assert rule["SourceSecurityGroupId"] == {"Fn::GetAtt": [jobs, "GroupId"]}


def test_rds_makes_the_password_and_ecs_hands_it_to_jobs(everything: Template) -> None:
    name, cluster = everything.one("RDS::DBCluster")
    secret = {"Fn::GetAtt": [name, "MasterUserSecret.SecretArn"]}
    assert cluster["Properties"]["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster["Properties"]
    assert not everything.of("SecretsManager::Secret")
    _, definition = everything.one("Batch::JobDefinition", "WorkJob")
    secrets = definition["Properties"]["ContainerProperties"]["Secrets"]
    assert {one["Name"]: one["ValueFrom"]["Fn::Join"][1] for one in secrets} == {
        "DATABASE_USER": [secret, ":username::"],
        "DATABASE_PASSWORD": [secret, ":password::"],
    }
    environment = everything.environment("WorkJob")
    assert environment["DATABASE_HOST"] == {"Fn::GetAtt": [name, "Endpoint.Address"]}
    assert (environment["DATABASE_PORT"], environment["DATABASE_NAME"]) == ("5432", "outcomes")
    reading = [
        (statement["Action"], statement["Resource"])
        for statement in everything.statements(EXECUTION_ROLE)
        if "secretsmanager:" in json.dumps(statement["Action"])
    ]
    assert reading == [("secretsmanager:GetSecretValue", secret)]
    assert not everything.actions_on(JOB_ROLE, name)


def test_the_databases_log_is_kept_for_as_long_as_told(everything: Template) -> None:
    """The group is there before the instance is, or RDS would make it, and keep its entries for ever."""
    name, group = everything.one("Logs::LogGroup", "Database")
    cluster, resource = everything.one("RDS::DBCluster")
    assert group["Properties"]["RetentionInDays"] == 14
    assert group["Properties"]["LogGroupName"]["Fn::Join"][1] == [
        "/aws/rds/cluster/",
        {"Ref": cluster},
        "/postgresql",
    ]
    assert resource["Properties"]["EnableCloudwatchLogsExports"] == ["postgresql"]
    _, instance = everything.one("RDS::DBInstance")
    assert name in instance["DependsOn"]


def test_jobs_put_events_on_the_bus_and_do_nothing_else_with_it(everything: Template) -> None:
    name, _ = everything.one("Events::EventBus")
    assert everything.environment("WorkJob")["EVENT_BUS_NAME"] == {"Ref": name}
    assert everything.actions_on(JOB_ROLE, name) == {"events:PutEvents"}
    assert not everything.of("Events::EventBusPolicy")


def test_the_work_queue_sets_aside_what_fails_and_somebody_is_told(everything: Template) -> None:
    name, queue = everything.one("SQS::Queue", "WorkQueue")
    dead, dead_letters = everything.one("SQS::Queue", "WorkDeadLetterQueue")
    assert queue["Properties"]["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [dead, "Arn"]},
        "maxReceiveCount": 5,
    }
    assert queue["Properties"]["VisibilityTimeout"] == 900
    for one in (queue, dead_letters):
        assert one["Properties"]["KmsMasterKeyId"] == {"Fn::GetAtt": ["Key961B73FD", "Arn"]}
        assert one["DeletionPolicy"] == "Retain"
    watched = json.dumps(everything.one("CloudWatch::Alarm", "NotificationWorkQueue")[1]["Properties"])
    assert f'"{dead}"' in watched
    assert everything.environment("WorkJob")["WORK_QUEUE_URL"] == {"Ref": name}
    assert everything.actions_on(JOB_ROLE, name) == {
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:ReceiveMessage",
        "sqs:SendMessage",
    }
    assert not everything.actions_on(JOB_ROLE, dead)


def test_without_a_key_queues_are_encrypted_by_sqs(plain: Template) -> None:
    queues = {name: one for name, one in plain.of("SQS::Queue").items() if name.startswith("Work")}
    assert len(queues) == 2
    assert all(one["Properties"]["SqsManagedSseEnabled"] is True for one in queues.values())


def test_there_are_no_custom_resources(everything: Template) -> None:
    assert not [one["Type"] for one in everything.resources.values() if "Custom" in one["Type"]]
    functions = [name for name in everything.of("Lambda::Function") if "DisableQueue" not in name]
    assert functions == []
