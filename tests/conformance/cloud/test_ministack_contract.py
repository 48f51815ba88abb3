"""What the local cloud assumes of MiniStack's internals; an upgrade that moves any fails here."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from batch_engine import translation as cfn
from batch_engine.local.ministack import internals as cloud_internals
from batch_engine.local.ministack.environment import SERVICES


@pytest.fixture(scope="module")
def internals() -> dict[str, Any]:
    return dict(cloud_internals.load_internals())


def parameters(function: Callable[..., object]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_every_internal_is_where_it_was(internals: dict[str, Any]) -> None:
    assert set(internals) == {name for names in cloud_internals.INTERNALS.values() for name in names}


@pytest.mark.parametrize(
    "moved", [{"ministack.app": ("no_such_name",)}, {"ministack.no_such_module": ("x",)}]
)
def test_a_moved_internal_is_named_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, moved: dict[str, tuple[str, ...]]
) -> None:
    monkeypatch.setattr(cloud_internals, "INTERNALS", moved)
    with pytest.raises(
        cloud_internals.MiniStackMovedError,
        match=r"no ministack\.\S*no_such_\w+, which .*cloud_internals\.py",
    ):
        cloud_internals.load_internals()


def test_ministack_has_every_service_that_is_asked_for(internals: dict[str, Any]) -> None:
    assert set(SERVICES) <= set(internals["SERVICE_HANDLERS"].value)
    assert {"logs", "iam", "secretsmanager", "sqs", "ssm", "sts"} <= set(SERVICES), (
        "the in-process client calls these"
    )


def test_events_are_dispatched_whole_and_whatever_their_source(internals: dict[str, Any]) -> None:
    assert parameters(internals["_dispatch_event"].value) == ["event", "view"]
    assert parameters(internals["_archive_event"].value) == ["event", "view"]


def test_rules_and_schedules_reach_their_targets_one_way(internals: dict[str, Any]) -> None:
    assert parameters(internals["_invoke_target"].value) == ["target", "event", "rule", "view"]
    assert parameters(internals["_apply_input_transformer"].value) == ["transformer", "rule", "view"]
    view = internals["_pattern_event_view"].value({"Source": "s", "DetailType": "t", "Detail": '{"a": 1}'})
    whole = view.event_with_detail()
    assert (whole["source"], whole["detail-type"], whole["detail"]) == ("s", "t", {"a": 1})
    for module in ("eventbridge", "scheduler"):
        source = inspect.getsource(importlib.import_module(f"ministack.services.{module}"))
        assert "_invoke_target(target, event, " in source


def test_a_task_state_is_a_prefix_and_a_function(internals: dict[str, Any]) -> None:
    dispatch = internals["_SERVICE_DISPATCH"].value
    assert len(parameters(dispatch["arn:aws:states:::sqs:sendMessage"])) == 2
    assert [prefix for prefix in dispatch if ":batch:" in prefix] == [], "it has Batch of its own now"
    assert parameters(internals["_execute_task"].value) == ["state_def", "raw_input", "execution", "ctx"]
    failure = internals["_ExecutionError"].value("States.TaskFailed", "why")
    assert (failure.error, failure.cause) == ("States.TaskFailed", "why")


def test_a_scope_takes_the_account_and_the_region(internals: dict[str, Any]) -> None:
    assert parameters(internals["request_scope"].value) == ["account_id", "region"]


def test_resource_types_that_block_run_on_their_own_thread(internals: dict[str, Any]) -> None:
    runs_on_worker_thread = internals["_runs_on_worker_thread"].value
    assert runs_on_worker_thread("AWS::CloudFormation::WaitCondition") is True
    assert runs_on_worker_thread("AWS::S3::Bucket") is False


def test_a_resource_handler_is_a_dictionary_of_functions(internals: dict[str, Any]) -> None:
    handlers = internals["_RESOURCE_HANDLERS"].value
    assert parameters(handlers["AWS::SQS::Queue"]["create"])[:3] == ["logical_id", "props", "stack_name"]
    assert parameters(handlers["AWS::SQS::Queue"]["delete"]) == ["physical_id", "props"]
    wanting_logical_id = [h for h in handlers.values() if h.get("update_with_logical_id")]
    assert wanting_logical_id, "update_with_logical_id is gone"
    for handler in wanting_logical_id:
        assert len(parameters(handler["update"])) == 5


def test_a_change_set_compares_resolved_templates_in_which_attributes_are_unknown(
    internals: dict[str, Any],
) -> None:
    resolve = internals["_resolve_props_for_diff"].value
    assert parameters(resolve) == ["template", "params", "stack_name", "stack_id"]
    body = {"Resources": {"A": {"Type": "T", "Properties": {"P": {"Fn::GetAtt": ["B", "Arn"]}}}}}
    answer = resolve(body, {}, "stack", "id")
    assert answer["Resources"]["A"]["Properties"] == {"P": ""}, (
        "telling_references_apart has nothing to do now"
    )


def test_batch_is_still_a_stub_that_ours_can_replace(internals: dict[str, Any]) -> None:
    handlers = internals["_RESOURCE_HANDLERS"].value
    already_there = [kind for kind in cfn.CREATE_OPERATIONS if kind in handlers]
    assert already_there == [], (
        "MiniStack has resource types of its own for these now: compare them with ours"
    )


def test_docker_and_snapshots_are_switched_in_the_application(internals: dict[str, Any]) -> None:
    assert parameters(internals["_docker_socket_present"].value) == []
    assert parameters(internals["_build_persistence_save_dict"].value) == []
    assert len(parameters(internals["save_all"].value)) == 1
    assert parameters(internals["reset"].value) == []
