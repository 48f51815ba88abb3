"""How images of the assembly are built."""

import pytest

from batch_engine.local.base.assembly_images import AssemblyImages, ImageAsset
from batch_engine.local.base.dockerfile import ImageError
from batch_engine.local.runtimes.containers.images import build_arguments


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, ["--file", "Dockerfile"]),
        ({"dockerFile": "media/Dockerfile"}, ["--file", "media/Dockerfile"]),
        (
            {"dockerBuildArgs": {"A": "1", "B": "x y"}},
            ["--file", "Dockerfile", "--build-arg", "A=1", "--build-arg", "B=x y"],
        ),
        (
            {"dockerBuildContexts": {"lib": "../lib"}},
            ["--file", "Dockerfile", "--build-context", "lib=../lib"],
        ),
        ({"dockerBuildSecrets": {"key": "src=k"}}, ["--file", "Dockerfile", "--secret", "id=key,src=k"]),
        (
            {
                "dockerBuildSsh": "default",
                "dockerBuildTarget": "final",
                "networkMode": "host",
                "platform": "linux/arm64",
                "cacheDisabled": True,
                "cacheFrom": [{"type": "gha"}],
            },
            [
                *("--file", "Dockerfile", "--ssh", "default", "--target", "final"),
                *("--network", "host", "--platform", "linux/arm64", "--no-cache"),
            ],
        ),
    ],
)
def test_an_image_is_built_as_the_manifest_says(tmp_path, source, words):
    asset = ImageAsset("abc", tmp_path, {"directory": "d", **source})
    assert build_arguments(asset, "name:abc") == ["build", "--tag", "name:abc", *words, "."]


@pytest.mark.parametrize("source", [{"executable": ["make"]}, {"directory": "d", "dockerOutputs": ["x"]}])
def test_kinds_of_images_that_are_not_built_are_refused(tmp_path, source):
    with pytest.raises(ImageError, match=r"^CannotPullContainerError: image asset abc has (exec|dockerO)"):
        build_arguments(ImageAsset("abc", tmp_path, source), "name:abc")


def test_assembly_without_the_image_has_no_asset(tmp_path):
    assert AssemblyImages(tmp_path).asset("x:abc") is None
