"""The images of a cloud assembly: how each is built, and what it would run.

The process runtime starts no container: it needs an image's ENTRYPOINT, CMD and ENV only. They stand in the
Dockerfile that the cloud assembly names for the image's tag. The container runtime builds that Dockerfile.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_VARIABLE = re.compile(r"\$(?:\{(?P<braced>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}|(?P<bare>[A-Za-z_]\w*))")


class ImageError(Exception):
    """The image cannot be used; the text says why, in the form of an ECS ``reason``."""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image brings along."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageAsset:
    """An image that the assembly says how to make.

    Args:
        tag: its tag, which stands for its content.
        folder: what the manifest's paths are relative to.
        source: the manifest's ``source``: ``directory`` or ``executable``, ``dockerFile`` ...
    """

    tag: str
    folder: Path
    source: Mapping[str, Any]

    @property
    def directory(self) -> Path | None:
        """The folder that is built; None for an image that a command makes."""
        return self.folder / self.source["directory"] if "directory" in self.source else None

    @property
    def dockerfile(self) -> str:
        """The Dockerfile's place in that folder."""
        return str(self.source.get("dockerFile") or "Dockerfile")


class AssemblyImages:
    """Finds images among the container assets of a cloud assembly.

    Args:
        assembly: the folder that ``cdk synth`` writes (``cdk.out``), or None where there is none. It is read
            when an image is asked for, so it may be written later.
    """

    def __init__(self, assembly: Path | None) -> None:
        self._assembly = assembly
        self._known: dict[str, ImageConfig] = {}

    def is_at_hand(self, image: str) -> bool:
        """Whether ``find`` answers without reading files."""
        return self._assembly is None or image.rpartition(":")[2] in self._known

    def find(self, image: str) -> ImageConfig | None:
        """The configuration of an image that is an asset; None for any other, such as a public one.

        Raises:
            ImageError: the assembly names the image but its Dockerfile cannot be read.
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
        """How an image is made that is an asset; None for any other, such as a public one."""
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


def read_dockerfile(
    path: Path, build_arguments: Mapping[str, str] | None = None, target: str | None = None
) -> ImageConfig:
    """Read the last stage of a Dockerfile, or the one that is asked for.

    Args:
        path: the Dockerfile.
        build_arguments: what its ARGs are given.
        target: the name of a stage.

    Raises:
        ImageError: it does not exist or cannot be understood.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise ImageError(f"CannotPullContainerError: {path}: {error.strerror}") from error
    given = build_arguments or {}
    arguments: dict[str, str] = {}
    stages: dict[str, ImageConfig] = {}
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    stage_name = ""
    for keyword, rest in _instructions(text):
        scope = {**arguments, **environment}
        match keyword:
            case "ARG":
                name, _, value = rest.partition("=")
                default = _expand(value.strip().strip("\"'"), scope)
                arguments[name.strip()] = given.get(name.strip(), default)
            case "ENV":
                environment.update(_assignments(rest, scope))
            case "ENTRYPOINT":
                entrypoint, command = _exec_form(rest), ()
            case "CMD":
                command = _exec_form(rest)
            case "FROM":
                if target is not None and stage_name == target:
                    break
                stages[stage_name] = ImageConfig(entrypoint, command, environment)
                base, stage_name = _from(rest)
                inherited = stages.get(base, ImageConfig())
                entrypoint, command = inherited.entrypoint, inherited.command
                environment = dict(inherited.environment)
    return ImageConfig(entrypoint, command, environment)


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    parts = [line.strip().partition(" ") for line in joined.splitlines()]
    return [(keyword.upper(), rest.strip()) for keyword, _, rest in parts]


def _from(rest: str) -> tuple[str, str]:
    words = [word for word in rest.split() if not word.startswith("--")]
    named = len(words) == 3 and words[1].upper() == "AS"
    return words[0], words[2] if named else ""


def _exec_form(rest: str) -> tuple[str, ...]:
    """``["a", "b"]`` as it stands; the shell form runs under ``/bin/sh -c``, as Docker does it."""
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except json.JSONDecodeError as error:
            raise ImageError(f"CannotPullContainerError: not a JSON array: {rest}") from error
        return tuple(str(word) for word in words)
    return ("/bin/sh", "-c", rest)


def _assignments(rest: str, scope: dict[str, str]) -> dict[str, str]:
    first = rest.split(None, 1)[0]
    if "=" not in first:  # the old form: ENV NAME the whole rest
        name, _, value = rest.partition(" ")
        return {name: _expand(value.strip(), scope)}
    return {
        name: _expand(value, scope) for name, _, value in (word.partition("=") for word in shlex.split(rest))
    }


def _expand(text: str, scope: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group("braced") or match.group("bare")
        return scope.get(name) or match.group("default") or ""

    return _VARIABLE.sub(value, text)
