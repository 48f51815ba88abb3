"""The instance catalogue: what its table holds, and what names in ``instanceTypes`` stand for."""

from collections import Counter

import pytest

from batch_engine.catalogue.instances import BANDS, instance_types
from batch_engine.core.model.instance_types import Catalogue


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(instance_types())


def names(expansion):
    return {item.name for _, item in expansion.types}


def test_every_row_is_usable():
    rows = instance_types()
    assert len(rows) > 500
    assert max(Counter(row.name for row in rows).values()) == 1
    for row in rows:
        assert row.vcpus > 0
        assert row.memory_mib >= 512
        assert row.on_demand_usd_hour > 0
        assert row.arch in ("x86_64", "arm64")
        assert row.source
        assert row.date
        assert row.spot_usd_hour is None or 0 < row.spot_usd_hour <= row.on_demand_usd_hour
        assert row.interruption_band is None or 0 <= row.interruption_band < len(BANDS)


@pytest.mark.parametrize("family", ["c5", "m6i", "r7g", "c8g", "m8i", "g5", "g6e", "p5", "t3"])
def test_families_that_people_use_are_there(catalogue, family):
    assert any(name.startswith(f"{family}.") for name in names(catalogue.expand([family])))


def test_family_leaves_out_metal(catalogue):
    assert not any("metal" in name for name in names(catalogue.expand(["c7a"])))
    assert names(catalogue.expand(["c7a.metal-48xl"])) == {"c7a.metal-48xl"}


@pytest.mark.parametrize(
    ("bundle", "families"),
    [
        ("optimal", ["m6i", "c6i", "r6i", "c7i"]),
        ("default_x86_64", ["m6i", "c6i", "r6i", "c7i"]),
        ("default_arm64", ["m6g", "c6g", "r6g", "c7g"]),
    ],
)
def test_bundles_expand_to_families(catalogue, bundle, families):
    assert names(catalogue.expand([bundle])) == names(catalogue.expand(families))


def test_named_type_keeps_its_place_and_leaves_its_family(catalogue):
    expansion = catalogue.expand(["c6g", "c6g.xlarge"])
    places = {item.name: place for place, item in expansion.types}
    assert places["c6g.xlarge"] == 1
    assert {place for name, place in places.items() if name != "c6g.xlarge"} == {0}


def test_unknown_names_are_reported(catalogue):
    assert catalogue.expand(["z9", "m6i.large"]).unknown == ("z9",)
