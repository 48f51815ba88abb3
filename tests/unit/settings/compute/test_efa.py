"""Elastic Fabric Adapters in the settings: which instance types have them, and where they make sense."""

from pathlib import Path
from typing import Any

import pytest

from batch_engine.catalogue.instances import efa_interfaces, instance_types
from batch_stack.lock.check import check_against_lock
from batch_stack.settings.base.errors import SettingsError
from batch_stack.settings.file import parse_settings

FABRIC: dict[str, Any] = {
    "type": "on_demand",
    "instance_types": ["c6in.32xlarge"],
    "placement_group": True,
    "efa": True,
}


def _settings(**compute: Any) -> Any:
    content = {"compute": {"x": compute}, "tiers": {"only": {"priority": 1, "compute": ["x"]}}}
    return parse_settings(content, source="batch.yaml")


def test_the_table_agrees_with_aws_pages() -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html."""
    known = efa_interfaces()
    counts = {name: known[name] for name in ("c5n.18xlarge", "p4d.24xlarge", "p5.48xlarge", "hpc7a.96xlarge")}
    assert counts == {"c5n.18xlarge": 1, "p4d.24xlarge": 4, "p5.48xlarge": 32, "hpc7a.96xlarge": 2}
    assert not {"m6i.large", "t3.large", "c6i"} & set(known)
    assert "p6-b300.48xlarge" not in known, "its first network card has none"
    assert len({item.name for item in instance_types()} & set(known)) > 100


@pytest.mark.parametrize(
    ("types", "count"), [(["c6i.32xlarge", "c7i.48xlarge"], 1), (["p4d.24xlarge", "p4de.24xlarge"], 4)]
)
def test_instances_have_as_many_as_their_type(types: list[str], count: int) -> None:
    fabric = _settings(**{**FABRIC, "instance_types": types}).compute["x"]
    assert fabric.efa_interfaces == count
    assert _settings(**{**FABRIC, "efa": False}).compute["x"].efa_interfaces == 0


@pytest.mark.parametrize(
    ("compute", "problem"),
    [
        (
            {**FABRIC, "placement_group": False},
            "placement_group must be true with efa, whose traffic does not leave an Availability Zone, got "
            "False",
        ),
        (
            {**FABRIC, "type": "spot"},
            "efa must be false on Spot, where AWS Batch runs no multi-node parallel jobs, got True",
        ),
        (
            {**FABRIC, "instance_types": ["c6in.32xlarge", "c6i.large"]},
            "instance_types[1] must be an instance type with EFA because efa is true, got 'c6i.large'",
        ),
        (
            {**FABRIC, "instance_types": ["c6in"]},
            "instance_types[0] must be an instance type with EFA by its full name (not all sizes of a family "
            "have it), because efa is true, got 'c6in'",
        ),
        (
            {**FABRIC, "instance_types": ["p4d.24xlarge", "g6e.24xlarge"]},
            "instance_types[1] must have 4 EFA interfaces like p4d.24xlarge, because all use one "
            "launch template, and it has 2, got 'g6e.24xlarge'",
        ),
        ({"type": "fargate", "efa": True}, "efa "),
        ({"type": "managed_instances", "efa": True}, "efa "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(compute: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError) as raised:
        _settings(**compute)
    assert str(raised.value).startswith(f"batch.yaml: compute.x.{problem}")


@pytest.mark.parametrize("deployed", [True, False])
def test_it_is_neither_added_to_nor_taken_from_what_is_deployed(tmp_path: Path, deployed: bool) -> None:
    lock = tmp_path / "batch.lock.json"
    check_against_lock(_settings(**{**FABRIC, "efa": deployed}), lock, create=True)
    check_against_lock(_settings(**{**FABRIC, "efa": deployed, "max_vcpus": 999}), lock)
    with pytest.raises(SettingsError) as refused:
        check_against_lock(_settings(**{**FABRIC, "efa": not deployed}), lock)
    assert f"compute.x.efa must be {str(deployed).lower()}, as deployed: " in str(refused.value)
