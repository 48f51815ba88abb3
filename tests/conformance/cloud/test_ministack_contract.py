"""The adapter's assumptions about MiniStack, one contract a name: it fails where an upgrade moves one."""

import contextlib
import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from batch_engine import translation as cfn
from batch_engine.local.cloudformation.budgets import BUDGET
from batch_engine.local.cloudformation.change_sets import with_named_attributes
from batch_engine.local.cloudformation.composite_alarms import COMPOSITE_ALARM
from batch_engine.local.cloudformation.databases import CLUSTER
from batch_engine.local.cloudformation.network import NETWORK_TYPES
from batch_engine.local.ministack.environment import SERVICES
from batch_engine.local.ministack.internals import MiniStack, MiniStackMovedError, Name, declared_names
from batch_engine.local.ministack.resource_types import RULE

NAMES = dict(declared_names(MiniStack))
Contract = Callable[[MiniStack], None]
CONTRACTS: dict[str, Contract] = {}
ACCOUNT, REGION = "000000000001", "us-east-1"


def contract(check: Contract) -> Contract:
    """Register the contract of the name that the function is called after."""
    CONTRACTS[check.__name__] = check
    return check


@pytest.fixture(scope="module")
def ministack() -> MiniStack:
    return MiniStack()


@pytest.mark.parametrize("name", NAMES)
def test_each_name_keeps_its_contract(ministack: MiniStack, name: str) -> None:
    assert name in CONTRACTS, f"write a contract for {name}: {NAMES[name].module}.{NAMES[name].name}"
    CONTRACTS[name](ministack)


def test_each_contract_is_about_a_name() -> None:
    assert CONTRACTS.keys() <= NAMES.keys()


@pytest.mark.parametrize(
    "moved", [Name[Any]("ministack.app", "no_such_name"), Name[Any]("ministack.no_such_module", "x")]
)
def test_a_moved_name_is_reported_with_what_to_do(moved: Name[Any]) -> None:
    with pytest.raises(MiniStackMovedError, match=r"no ministack\.\S*no_such_\w+, which .*internals\.py"):
        moved.check()


def test_assignment_replaces_the_name_in_its_module(
    ministack: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("ministack.services.pipes")
    monkeypatch.setattr(module, "check_target_supported", module.check_target_supported)
    ministack.check_target_supported = print
    assert module.check_target_supported is print


def parameters(function: Callable[..., object]) -> list[str]:
    return list(inspect.signature(function).parameters)


def source_of(module: str) -> str:
    return inspect.getsource(importlib.import_module(module))


# The application.


@contract
def app(ministack: MiniStack) -> None:
    assert inspect.iscoroutinefunction(ministack.app)
    assert parameters(ministack.app) == ["scope", "receive", "send"]


@contract
def service_handlers(ministack: MiniStack) -> None:
    assert set(SERVICES) <= ministack.service_handlers.keys()
    assert {"logs", "iam", "secretsmanager", "sqs", "ssm", "sts"} <= set(SERVICES), "our client calls these"
    for service in SERVICES:
        assert len(parameters(ministack.service_handlers[service])) == 5, service


@contract
def loaded_modules(ministack: MiniStack) -> None:
    assert isinstance(ministack.loaded_modules, dict)
    # The module that is in the table is used, and not imported.
    assert "_loaded_modules" in inspect.getsource(importlib.import_module("ministack.app")._get_module)


@contract
def docker_socket_present(ministack: MiniStack) -> None:
    assert parameters(ministack.docker_socket_present) == []
    assert "if not _docker_socket_present():" in source_of("ministack.app")


@contract
def build_persistence_save_dict(ministack: MiniStack) -> None:
    assert parameters(ministack.build_persistence_save_dict) == []
    states = ministack.build_persistence_save_dict()
    assert all(callable(state) for state in states.values())


@contract
def save_all(ministack: MiniStack) -> None:
    assert parameters(ministack.save_all) == ["services"]


@contract
def reset_functions(ministack: MiniStack) -> None:
    assert parameters(ministack.reset_functions) == []


@contract
def request_scope(ministack: MiniStack) -> None:
    assert parameters(ministack.request_scope) == ["account_id", "region"]
    responses = importlib.import_module("ministack.core.responses")
    with ministack.request_scope(ACCOUNT, "eu-west-1"):
        assert (responses.get_account_id(), responses.get_region()) == (ACCOUNT, "eu-west-1")


@contract
def error_response_json(ministack: MiniStack) -> None:
    status, headers, body = ministack.error_response_json("ValidationException", "why", 400)
    assert status == 400
    assert "ValidationException" in {*headers.values()}
    assert b"why" in body


# IAM.


@contract
def pin_request_origin(ministack: MiniStack) -> None:
    assert parameters(ministack.pin_request_origin) == ["source_ip", "secure_transport"]
    assert "pin_request_origin(" in source_of("ministack.app")


@contract
def namespaces(ministack: MiniStack) -> None:
    assert ministack.namespaces["batch"] == "batch"
    extract = importlib.import_module("ministack.core.iam_actions").extract_iam_action
    assert extract("no-such-service", "GET", "/", {}, b"", {}) is None, "a service without a name is allowed"


REQUEST = ["service", "method", "path", "headers", "body", "query_params"]


@contract
def extract_iam_action(ministack: MiniStack) -> None:
    assert parameters(ministack.extract_iam_action) == REQUEST
    target = {"x-amz-target": "AWSBudgetServiceGateway.DescribeBudget"}
    action = ministack.extract_iam_action("budgets", "POST", "/", target, b"{}", {})
    assert action == "budgets:DescribeBudget", "budget_action has nothing to do now"


@contract
def extract_resource_arn(ministack: MiniStack) -> None:
    assert parameters(ministack.extract_resource_arn) == [*REQUEST, "region", "account_id"]
    target = {"x-amz-target": "AWSBudgetServiceGateway.DescribeBudget"}
    found = ministack.extract_resource_arn("budgets", "POST", "/", target, b"{}", {}, REGION, ACCOUNT)
    assert found == "*", "budget_resource has nothing to do now"


@contract
def extract_access_key_id(ministack: MiniStack) -> None:
    signed = {"authorization": f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/{REGION}/batch/aws4_request, x"}
    assert ministack.extract_access_key_id(signed, {}) == "AKIA"


@contract
def enforce(ministack: MiniStack) -> None:
    expected = ["access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"]
    assert parameters(ministack.enforce) == expected


@contract
def auth_error(ministack: MiniStack) -> None:
    assert {"code", "message"} <= inspect.get_annotations(ministack.auth_error).keys()
    evaluator = importlib.import_module("ministack.core.iam_evaluator")
    denial = evaluator.EvalResult("Deny", "arn")
    assert (denial.decision, denial.principal_arn) == ("Deny", "arn")
    assert not isinstance(denial, ministack.auth_error)


def trust_context(ministack: MiniStack) -> object:
    return ministack.eval_context(
        principal_arn="events.amazonaws.com",
        principal_type="Service",
        principal_account=ACCOUNT,
        action="sts:AssumeRole",
        resource_arn="arn:aws:iam::000000000001:role/r",
        region=REGION,
        service_context={"aws:sourceaccount": ACCOUNT},
    )


@contract
def eval_context(ministack: MiniStack) -> None:
    assert trust_context(ministack)


@contract
def evaluate_trust_policy(ministack: MiniStack) -> None:
    def trusts(account: str) -> bool:
        condition = {"StringEquals": {"aws:SourceAccount": account}}
        statement = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole", "Condition": condition}
        context = trust_context(ministack)
        return ministack.evaluate_trust_policy({"Statement": [statement]}, "events.amazonaws.com", context)

    assert trusts(ACCOUNT)
    assert not trusts("000000000002")


@contract
def register_session(ministack: MiniStack) -> None:
    assert parameters(ministack.register_session) == ["access_key", "session"]


# CloudFormation.


@contract
def stacks(ministack: MiniStack) -> None:
    with ministack.request_scope(ACCOUNT, REGION):
        assert list(ministack.stacks.items()) == []
    assert '"StackStatusReason"' in source_of("ministack.services.cloudformation.stacks")


@contract
def resource_handlers(ministack: MiniStack) -> None:
    handlers = ministack.resource_handlers
    ours = {*cfn.CREATE_OPERATIONS, *NETWORK_TYPES, BUDGET, COMPOSITE_ALARM}
    assert ours & handlers.keys() == set(), "compare MiniStack's new types with ours"
    assert parameters(handlers["AWS::SQS::Queue"]["create"])[:3] == ["logical_id", "props", "stack_name"]
    for kind in (RULE, CLUSTER):
        assert handlers[kind]["update_with_logical_id"], kind
        assert len(parameters(handlers[kind]["update"])) == 5, kind
        assert parameters(handlers[kind]["delete"]) == ["physical_id", "props"], kind
    cluster = source_of("ministack.services.cloudformation.provisioners")
    assert "MasterUserSecret.SecretArn" not in cluster, "ClusterSecrets has nothing to do now"


@contract
def runs_on_worker_thread(ministack: MiniStack) -> None:
    assert ministack.runs_on_worker_thread("AWS::CloudFormation::WaitCondition")
    assert not ministack.runs_on_worker_thread("AWS::S3::Bucket")
    assert "if _runs_on_worker_thread(" in source_of("ministack.services.cloudformation.stacks")


@contract
def resolve_props_for_diff(ministack: MiniStack) -> None:
    resolve = ministack.resolve_props_for_diff
    assert parameters(resolve) == ["template", "params", "stack_name", "stack_id"]
    template = {"Resources": {"A": {"Type": "T", "Properties": {"P": {"Fn::GetAtt": ["B", "Arn"]}}}}}

    def compared(one: dict[str, Any]) -> object:
        return resolve(one, {}, "stack", "id")["Resources"]["A"]["Properties"]

    assert compared(template) == {"P": ""}, "with_named_attributes has nothing to do now"
    assert compared(with_named_attributes(template)) == {"P": "B.Arn"}


# EventBridge.


@contract
def dispatch_event(ministack: MiniStack) -> None:
    assert parameters(ministack.dispatch_event) == ["event", "view"]


@contract
def archive_event(ministack: MiniStack) -> None:
    assert parameters(ministack.archive_event) == ["event", "view"]


@contract
def rules(ministack: MiniStack) -> None:
    source = source_of("ministack.services.eventbridge")
    assert "for key, rule in _rules.items():" in source
    assert 'if rule.get("State") != "ENABLED":' in source
    with ministack.request_scope(ACCOUNT, REGION):
        assert list(ministack.rules.values()) == []
        assert not ministack.has_listeners()


@contract
def archives(ministack: MiniStack) -> None:
    assert "for archive in _archives.values():" in source_of("ministack.services.eventbridge")
    with ministack.request_scope(ACCOUNT, REGION):
        assert not ministack.archives


@contract
def invoke_target(ministack: MiniStack) -> None:
    assert parameters(ministack.invoke_target) == ["target", "event", "rule", "view"]
    for module in ("eventbridge", "scheduler"):
        assert "_invoke_target(target, event, " in source_of(f"ministack.services.{module}")


EVENT = {"Source": "s", "DetailType": "t", "Detail": '{"a": 1}'}


@contract
def pattern_event_view(ministack: MiniStack) -> None:
    whole = ministack.pattern_event_view(EVENT).event_with_detail()
    assert (whole["source"], whole["detail-type"], whole["detail"]) == ("s", "t", {"a": 1})


@contract
def apply_input_transformer(ministack: MiniStack) -> None:
    transformer = {"InputPathsMap": {"a": "$.detail.a"}, "InputTemplate": '{"b": <a>}'}
    view = ministack.pattern_event_view(EVENT)
    assert ministack.apply_input_transformer(transformer, {}, view) == '{"b": 1}'


@contract
def validate_target_arn(ministack: MiniStack) -> None:
    assert parameters(ministack.validate_target_arn) == ["target"]
    queue = f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/q"
    with ministack.request_scope(ACCOUNT, REGION):
        assert ministack.validate_target_arn({"Arn": queue, "RoleArn": "r"}) is None
        refused = ministack.validate_target_arn({"Arn": "nonsense"})
    assert refused is not None
    assert refused[0] == 400


@contract
def check_target_supported(ministack: MiniStack) -> None:
    with pytest.raises(ValueError, match="FIFO"):
        ministack.check_target_supported(f"arn:aws:sns:{REGION}:{ACCOUNT}:t.fifo")
    assert "check_target_supported(" in source_of("ministack.services.pipes")


# Step Functions.


@contract
def task_resources(ministack: MiniStack) -> None:
    resources = ministack.task_resources
    assert len(parameters(resources["arn:aws:states:::sqs:sendMessage"])) == 2
    assert [prefix for prefix in resources if ":batch:" in prefix] == [], "MiniStack has Batch tasks now"


@contract
def execution_error(ministack: MiniStack) -> None:
    failure: Any = ministack.execution_error("States.TaskFailed", "why")
    assert (failure.error, failure.cause) == ("States.TaskFailed", "why")


WITH_EXECUTION = ["state_def", "raw_input", "execution", "ctx"]
WITHOUT_EXECUTION = ["state_def", "raw_input", "ctx"]


@contract
def execute_task(ministack: MiniStack) -> None:
    assert parameters(ministack.execute_task) == WITH_EXECUTION


@contract
def execute_parallel(ministack: MiniStack) -> None:
    assert parameters(ministack.execute_parallel) == WITH_EXECUTION


@contract
def execute_map(ministack: MiniStack) -> None:
    assert parameters(ministack.execute_map) == WITH_EXECUTION


@contract
def execute_pass(ministack: MiniStack) -> None:
    assert parameters(ministack.execute_pass) == WITHOUT_EXECUTION
    assert ministack.execute_pass({"Type": "Pass", "Next": "N"}, {"a": 1}, {}) == ({"a": 1}, "N")


@contract
def execute_choice(ministack: MiniStack) -> None:
    assert parameters(ministack.execute_choice) == WITHOUT_EXECUTION
    assert ministack.execute_choice({"Choices": [], "Default": "D"}, {}, {}) == ({}, "D")


@contract
def execute_wait(ministack: MiniStack) -> None:
    assert parameters(ministack.execute_wait) == WITHOUT_EXECUTION
    assert ministack.execute_wait({"Seconds": 0, "Next": "N"}, {}, {}) == ({}, "N")


@contract
def executions(ministack: MiniStack) -> None:
    with ministack.request_scope(ACCOUNT, REGION):
        assert list(ministack.executions.items()) == []
    source = source_of("ministack.services.stepfunctions")
    for member in ("executionArn", "stateMachineArn", "status", "stopDate", "events", "sync"):
        assert f'"{member}"' in source, member
    assert '"States.ServiceRestart"' in source, "what a restart writes into an execution that ran"


@contract
def state_machines(ministack: MiniStack) -> None:
    with ministack.request_scope(ACCOUNT, REGION):
        assert ministack.state_machines.get("no such machine") is None
    assert 'sm["definition"]' in source_of("ministack.services.stepfunctions")


@contract
def run_execution(ministack: MiniStack) -> None:
    with ministack.request_scope(ACCOUNT, REGION), contextlib.suppress(KeyError):
        ministack.run_execution("no such execution")
    assert parameters(ministack.run_execution) == ["exec_arn"]
