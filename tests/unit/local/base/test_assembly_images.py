"""Images among the container assets of a cloud assembly."""

import json

import pytest

from batch_engine.local.base.assembly_images import AssemblyImages
from batch_engine.local.base.dockerfile import ImageConfig


def assembly(tmp_path, tag="abc"):
    folder = tmp_path / f"asset.{tag}"
    folder.mkdir()
    (folder / "Worker.dockerfile").write_text('FROM a\nENTRYPOINT ["found"]\n')
    source = {"directory": folder.name, "dockerFile": "Worker.dockerfile"}
    image = {"source": source, "destinations": {"here": {"imageTag": tag}}}
    (tmp_path / "S.assets.json").write_text(json.dumps({"dockerImages": {tag: image}}))
    return AssemblyImages(tmp_path)


def test_asset_is_found_by_its_tag(tmp_path):
    images = assembly(tmp_path)
    found = images.find("000000000000.dkr.ecr.us-east-1.amazonaws.com/assets:abc")
    assert found == ImageConfig(("found",), (), {})


@pytest.mark.parametrize("image", ["busybox", "busybox:latest", "host:5000/image", "python@sha256:abc"])
def test_other_images_are_not_known(tmp_path, image):
    assert assembly(tmp_path).find(image) is None
    assert AssemblyImages(None).find(image) is None


def test_assembly_may_be_written_later(tmp_path):
    images = AssemblyImages(tmp_path / "cdk.out")
    assert images.find("x:abc") is None
    (tmp_path / "cdk.out").mkdir()
    assembly(tmp_path / "cdk.out")
    assert images.find("x:abc") == ImageConfig(("found",), (), {})


def test_build_arguments_and_target_of_the_asset_count(tmp_path):
    folder = tmp_path / "asset.abc"
    folder.mkdir()
    text = 'FROM a AS first\nARG WHO=nobody\nENV HELLO=$WHO\nCMD ["first"]\nFROM first\nCMD ["last"]\n'
    (folder / "Dockerfile").write_text(text)
    source = {"directory": folder.name, "dockerBuildArgs": {"WHO": "you"}, "dockerBuildTarget": "first"}
    image = {"source": source, "destinations": {"here": {"imageTag": "abc"}}}
    (tmp_path / "S.assets.json").write_text(json.dumps({"dockerImages": {"abc": image}}))
    assert AssemblyImages(tmp_path).find("x:abc") == ImageConfig((), ("first",), {"HELLO": "you"})
