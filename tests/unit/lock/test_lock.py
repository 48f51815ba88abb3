"""The lock file: edits that would lose jobs are refused, and all others noted."""

import json
from pathlib import Path
from typing import Any

import pytest

from batch_stack.lock.check import check_against_lock
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.root import Settings


def _settings(
    tiers: dict[str, tuple[str, ...]],
    disabled: str = "",
    retired: dict[str, Any] | None = None,
    *,
    name: str = "batch-stack",
    **kinds: Any,
) -> Settings:
    compute = {"a": {"type": "spot"}, "b": {"type": "on_demand"}, **kinds}
    return Settings.model_validate(
        {
            "name": name,
            "compute": {name: one for name, one in compute.items() if one},
            "tiers": {
                name: {
                    "priority": index,
                    "compute": list(names),
                    "state": "disabled" if name == disabled else "enabled",
                }
                for index, (name, names) in enumerate(tiers.items())
            },
            "retired": retired or {},
        }
    )


BOTH = {"x": ("a",), "y": ("b",)}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "batch.lock.json"
    check_against_lock(_settings(BOTH), path, create=True)
    return path


def _refused(settings: Settings, lock: Path) -> str:
    before = lock.read_bytes()
    with pytest.raises(SettingsError) as raised:
        check_against_lock(settings, lock)
    assert lock.read_bytes() == before
    return str(raised.value)


def test_without_a_file_nothing_is_checked_and_none_is_made(tmp_path: Path) -> None:
    check_against_lock(_settings(BOTH), tmp_path / "batch.lock.json")
    check_against_lock(_settings(BOTH), str(tmp_path / "batch.lock.json"))
    assert list(tmp_path.iterdir()) == []


def test_the_file_holds_names_and_kinds_only(lock: Path) -> None:
    assert json.loads(lock.read_text()) == {
        "version": 1,
        "name": "batch-stack",
        "compute": {"a": "spot", "b": "on_demand"},
        "consumable_resources": {},
        "tiers": {
            "x": {"compute": ["a"], "state": "enabled", "fair_share": False},
            "y": {"compute": ["b"], "state": "enabled", "fair_share": False},
        },
        "data": {"kms": False, "kms_key_arn": None, "file_system": False, "database": None},
        "retired": {"tiers": [], "compute": [], "consumable_resources": []},
    }


def test_a_tier_that_is_removed_or_renamed_is_refused_with_the_way_to_do_it(lock: Path) -> None:
    message = _refused(_settings({"x": ("a",), "renamed": ("b",)}), lock)
    assert message.startswith(f"{lock}: what is deployed would be lost\n  tiers must have 'y'")
    assert "set tiers.y.state to disabled and deploy" in message
    assert "point triggers and all other submitters to another tier" in message
    assert "add it with another priority" in message


def test_a_tier_is_retired_in_two_deployments(lock: Path) -> None:
    retired = _settings({"x": ("a",)}, retired={"tiers": ["y"]})
    assert "tiers must have 'y'" in _refused(retired, lock)

    check_against_lock(_settings(BOTH, disabled="y"), lock)
    assert "or retired.tiers must" in _refused(_settings({"x": ("a",)}), lock)
    with pytest.warns(
        UserWarning, match=r"^tiers\.y is retired: if its queue is still deployed, this deletes it"
    ):
        check_against_lock(retired, lock)
    assert json.loads(lock.read_text())["retired"]["tiers"] == ["y"]
    # The synthesis of `cdk diff` is not that of `cdk deploy`: the warning stays for as long as it is listed.
    with pytest.warns(UserWarning, match=r"\[ack: batch-stack:deletedQueue:tiers\.y\]$"):
        (finding,) = check_against_lock(retired, lock)
    assert "contains(jobQueueName, 'YTierQueue')" in finding.message
    assert "aws batch list-jobs --job-queue NAME --job-status" in finding.message
    assert check_against_lock(_settings({"x": ("a",)}), lock) == []
    assert list(json.loads(lock.read_text())["tiers"]) == ["x"]
    assert "retired.tiers[0] must be a name that tiers had" in _refused(retired, lock)


@pytest.mark.parametrize(
    ("retired", "message"),
    [
        ({"tiers": ["xx"]}, "retired.tiers[0] must be a name that tiers had in the lock file"),
        ({"tiers": ["xx"]}, "got 'xx' (did you mean x?): nothing of that name is missing"),
        ({"compute": ["zzz"]}, "retired.compute[0] must be a name that compute had"),
        ({"consumable_resources": ["zzz"]}, "retired.consumable_resources[0] must be a name"),
    ],
)
def test_what_never_was_there_cannot_be_retired(lock: Path, retired: dict[str, Any], message: str) -> None:
    assert message in _refused(_settings(BOTH, retired=retired), lock)


def test_a_new_file_takes_the_word_for_what_was_there_before(tmp_path: Path) -> None:
    lock = tmp_path / "batch.lock.json"
    with pytest.warns(UserWarning, match=r"^tiers\.old is retired"):
        check_against_lock(_settings(BOTH, retired={"tiers": ["old"]}), lock, create=True)
    assert json.loads(lock.read_text())["retired"]["tiers"] == ["old"]


def test_an_acknowledged_deletion_is_no_longer_shown(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    settings = _settings(BOTH, retired={"tiers": ["old"]})
    ids = ["batch-stack:deletedQueue:tiers.old"]
    settings = Settings.model_validate({**settings.model_dump(exclude_unset=True), "acknowledge": ids})
    assert len(check_against_lock(settings, tmp_path / "batch.lock.json", create=True)) == 1
    assert len(recwarn) == 0


def test_another_name_would_be_a_second_platform(lock: Path) -> None:
    message = _refused(_settings(BOTH, name="another"), lock)
    assert "name must be batch-stack, as deployed, got 'another'" in message


def test_a_file_without_a_name_takes_the_one_there_is(lock: Path) -> None:
    text = json.loads(lock.read_text())
    del text["name"], text["retired"]
    lock.write_text(json.dumps(text))
    check_against_lock(_settings(BOTH, name="another"), lock)
    assert json.loads(lock.read_text())["name"] == "another"


def test_a_compute_environment_is_retired_once_no_deployed_tier_uses_it(lock: Path) -> None:
    moved = {"x": ("a",), "y": ("a",)}
    gone = _settings(moved, retired={"compute": ["b"]}, b=None)
    message = _refused(gone, lock)
    assert "compute must have 'b', which tiers.y uses as deployed" in message
    assert "the new compute environment first" in message

    check_against_lock(_settings(moved), lock)
    assert "or retired.compute must" in _refused(_settings(moved, b=None), lock)
    with pytest.warns(UserWarning, match=r"^compute\.b is retired: .*ends every job that runs"):
        check_against_lock(gone, lock)
    assert list(json.loads(lock.read_text())["compute"]) == ["a"]


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ({"type": "spot"}, {"type": "on_demand"}, True),
        ({"type": "on_demand"}, {"type": "spot"}, True),
        ({"type": "fargate"}, {"type": "fargate_spot"}, False),
        ({"type": "on_demand"}, {"type": "fargate"}, False),
        ({"type": "managed_instances"}, {"type": "managed_instances", "spot": True}, False),
        ({"type": "managed_instances"}, {"type": "managed_instances", "max_vcpus": 9}, True),
    ],
)
def test_a_kind_changes_only_where_aws_batch_changes_it_in_place(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], allowed: bool
) -> None:
    lock = tmp_path / "batch.lock.json"
    check_against_lock(_settings({"x": ("b",)}, b=before), lock, create=True)
    if allowed:
        check_against_lock(_settings({"x": ("b",)}, b=after), lock)
    else:
        assert "compute.b.type must be " in _refused(_settings({"x": ("b",)}, b=after), lock)


@pytest.mark.parametrize("section", ["tiers", "compute"])
def test_what_is_retired_must_be_gone(lock: Path, section: str) -> None:
    name = {"tiers": "x", "compute": "a"}[section]
    assert f"retired.{section} must not have {name!r}" in _refused(
        _settings(BOTH, retired={section: [name]}), lock
    )


def test_what_is_added_is_noted(lock: Path) -> None:
    check_against_lock(_settings({**BOTH, "z": ("a",)}), lock)
    assert "z" in json.loads(lock.read_text())["tiers"]


@pytest.mark.parametrize("text", ["", "{", '{"version": 1, "queues": {}}', '{"tiers": {"x": {}}}'])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "batch.lock.json"
    lock.write_text(text)
    assert "not a lock file of this version" in _refused(_settings(BOTH), lock)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "none" / "batch.lock.json"
    with pytest.raises(SettingsError, match=r"batch\.lock\.json: cannot be written: No such file"):
        check_against_lock(_settings(BOTH), lock, create=True)


FAIR = {"compute": {"a": {"type": "spot"}}, "tiers": {"x": {"priority": 1, "compute": ["a"]}}}


@pytest.mark.parametrize("shared_first", [True, False])
def test_a_queue_stays_with_or_without_fair_share(tmp_path: Path, shared_first: bool) -> None:
    lock = tmp_path / "batch.lock.json"
    tier = {"priority": 1, "compute": ["a"]}
    plain = Settings.model_validate({**FAIR, "tiers": {"x": tier}})
    shared = Settings.model_validate({**FAIR, "tiers": {"x": {**tier, "fair_share": {"shares": {"t": 1.0}}}}})
    first, second = (shared, plain) if shared_first else (plain, shared)
    check_against_lock(first, lock, create=True)
    assert "AWS Batch neither adds a fair-share policy" in _refused(second, lock)


def _licences(total: int | None, *, replenishable: bool = True, retired: bool = False) -> Settings:
    resource = {"total": total, "replenishable": replenishable}
    return Settings.model_validate(
        {
            "consumable_resources": {} if total is None else {"licence": resource},
            "retired": {"consumable_resources": ["licence"] if retired else []},
        }
    )


def test_a_consumable_resource_changes_in_number_but_not_in_kind(tmp_path: Path) -> None:
    lock = tmp_path / "batch.lock.json"
    check_against_lock(_licences(3), lock, create=True)
    check_against_lock(_licences(5), lock)
    assert "replenishable must be true, got false" in _refused(_licences(5, replenishable=False), lock)
    assert "consumable_resources must have 'licence'" in _refused(_licences(None), lock)
    check_against_lock(_licences(None, retired=True), lock)
    assert json.loads(lock.read_text())["consumable_resources"] == {}


def test_a_compute_environment_begins_enabled(lock: Path) -> None:
    new = {"type": "on_demand", "state": "disabled"}
    assert _refused(_settings(BOTH, c=new), lock) == (
        f"{lock}: compute.c.state must be enabled until it is deployed, got 'disabled': AWS Batch makes no "
        "compute environment that is disabled"
    )
    check_against_lock(_settings(BOTH, c={**new, "state": "enabled"}), lock)
    check_against_lock(_settings(BOTH, c=new), lock)
