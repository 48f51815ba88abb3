"""The container images of a cloud assembly: how each is built, and its configuration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_engine.local.base.dockerfile import ImageConfig, read_dockerfile


@dataclass(frozen=True, slots=True)
class ImageAsset:
    """A container asset of the assembly.

    Args:
        tag: the image's tag, a hash of its content.
        folder: the folder of the manifest; paths in the manifest are relative to it.
        source: the manifest's ``source``: ``directory`` or ``executable``, ``dockerFile`` ...
    """

    tag: str
    folder: Path
    source: Mapping[str, Any]

    @property
    def directory(self) -> Path | None:
        """Returns the folder that is built; None for an image that a command creates."""
        return self.folder / self.source["directory"] if "directory" in self.source else None

    @property
    def dockerfile(self) -> str:
        """Returns the path of the Dockerfile in that folder."""
        return str(self.source.get("dockerFile") or "Dockerfile")


class AssemblyImages:
    """Finds images among the container assets of a cloud assembly.

    Args:
        assembly: the folder that ``cdk synth`` writes (``cdk.out``), or None. It is read when an image is
            looked up, so it may be written later.
    """

    def __init__(self, assembly: Path | None) -> None:
        self._assembly = assembly
        self._known: dict[str, ImageConfig] = {}

    def is_at_hand(self, image: str) -> bool:
        """Returns whether ``find`` answers without reading files."""
        return self._assembly is None or image.rpartition(":")[2] in self._known

    def find(self, image: str) -> ImageConfig | None:
        """Returns the configuration of an asset's image, or None for any other, such as a public one.

        Raises:
            ImageError: the Dockerfile of the asset cannot be read.
        """
        tag = _tag(image)
        if tag not in self._known:
            asset = self.asset(image)
            if asset is None or asset.directory is None:
                return None
            arguments = asset.source.get("dockerBuildArgs") or {}
            target = asset.source.get("dockerBuildTarget")
            self._known[tag] = read_dockerfile(asset.directory / asset.dockerfile, arguments, target)
        return self._known[tag]

    def asset(self, image: str) -> ImageAsset | None:
        """Returns the asset of an image, or None for an image that is not an asset, such as a public one."""
        tag = _tag(image)
        if self._assembly is None or not tag:
            return None
        for manifest in sorted(self._assembly.glob("**/*.assets.json")):
            images = json.loads(manifest.read_text()).get("dockerImages") or {}
            for asset in images.values():
                tags = {destination.get("imageTag") for destination in asset["destinations"].values()}
                if tag in tags:
                    return ImageAsset(tag, manifest.parent, asset["source"])
        return None


def _tag(image: str) -> str:
    _, _, tag = image.rpartition(":") if "@" not in image else ("", "", "")
    return "" if "/" in tag or tag == image else tag
