"""Provides images: builds those of the assembly once, and pulls the others if they are missing."""

import json
import logging
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from batch_engine.local.base.assembly_images import ImageAsset
from batch_engine.local.base.dockerfile import ImageError
from batch_engine.local.runtimes.containers.clients import Clients, Done

logger = logging.getLogger(__name__)

BUILT = "localhost/batch-stack-asset"
"""The repository of the images that are built here. An asset's tag is a hash, so it is built once."""
_TOLD_LINES = 40


@dataclass(frozen=True, slots=True)
class ReadyImage:
    """An image on this machine.

    Args:
        reference: its name on this machine.
        runs: whether it has an ENTRYPOINT or a CMD.
        stop_signal: the signal that ends its program.
    """

    reference: str
    runs: bool
    stop_signal: str


class ContainerImages:
    """The images of this machine.

    Args:
        clients: run the container command line.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()

    def ready(self, image: str, asset: ImageAsset | None, *, has_credentials: bool = False) -> ReadyImage:
        """Returns an image; it is built or pulled first if it is missing, which may take minutes.

        Args:
            image: the image that the job names.
            asset: its asset; None if the assembly has none.
            has_credentials: whether the job has ``repositoryCredentials``.

        Raises:
            ImageError: the image cannot be built or pulled; the text is an ECS ``reason``.
        """
        reference = image if asset is None else f"{BUILT}:{asset.tag}"
        with self._lock:
            one_at_a_time = self._locks[reference]
        with one_at_a_time:
            found = self._find(reference)
            if found is None:
                if asset is None:
                    self._pull(image, has_credentials=has_credentials)
                else:
                    self._build(asset, reference)
                found = self._find(reference)
        if found is None:
            raise ImageError(
                f"CannotPullContainerError: {reference} is still missing after its build or pull"
            )
        return found

    def _find(self, reference: str) -> ReadyImage | None:
        done = self._clients.run("image", "inspect", "--format", "{{json .Config}}", reference)
        if done.code != 0:
            return None
        config: dict[str, Any] = json.loads(done.out) or {}
        return ReadyImage(
            reference,
            bool(config.get("Entrypoint") or config.get("Cmd")),
            str(config.get("StopSignal") or "SIGTERM"),
        )

    def _pull(self, image: str, *, has_credentials: bool) -> None:
        logger.info("pulling %s", image)
        done = self._clients.run("pull", image)
        if done.code != 0:
            hint = "repositoryCredentials are not read here, log in by hand: " if has_credentials else ""
            raise ImageError(f"CannotPullContainerError: {hint}{done.reason}")

    def _build(self, asset: ImageAsset, reference: str) -> None:
        argv = build_arguments(asset, reference)
        if asset.directory is None or not (asset.directory / asset.dockerfile).is_file():
            raise ImageError(f"CannotPullContainerError: {asset.dockerfile} is not in {asset.directory}")
        logger.info("building %s from %s", reference, asset.directory)
        done = self._clients.run(*argv, cwd=asset.directory)
        if done.code != 0:
            logger.error("%s could not be built:\n%s", reference, _end_of(done))
            raise ImageError(f"CannotPullContainerError: the image could not be built: {done.reason}")


def build_arguments(asset: ImageAsset, reference: str) -> list[str]:
    """Returns the command that builds an asset in its directory.

    Args:
        asset: the asset. ``cacheFrom`` and ``cacheTo`` are ignored: they do not change the image.
        reference: the name of the new image.

    Raises:
        ImageError: the manifest asks for a kind of build that is not supported.
    """
    source = asset.source
    for member in ("executable", "dockerOutputs"):
        if member in source:
            raise ImageError(
                f"CannotPullContainerError: image asset {asset.tag} has {member}, which this runtime does "
                "not support: use an image that is built from a Dockerfile"
            )
    words = ["build", "--tag", reference, "--file", asset.dockerfile]
    for member, option in (
        ("dockerBuildArgs", "--build-arg"),
        ("dockerBuildContexts", "--build-context"),
    ):
        for name, value in (source.get(member) or {}).items():
            words += [option, f"{name}={value}"]
    for name, value in (source.get("dockerBuildSecrets") or {}).items():
        words += ["--secret", f"id={name},{value}"]
    for member, option in (
        ("dockerBuildSsh", "--ssh"),
        ("dockerBuildTarget", "--target"),
        ("networkMode", "--network"),
        ("platform", "--platform"),
    ):
        if value := source.get(member):
            words += [option, value]
    if source.get("cacheDisabled"):
        words.append("--no-cache")
    return [*words, "."]


def _end_of(done: Done) -> str:
    return "\n".join(f"{done.out}\n{done.err}".splitlines()[-_TOLD_LINES:])
