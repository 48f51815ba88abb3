"""Turns a job into the message that starts an attempt: its command, mounts, limits, user and secrets."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_engine.core.model.jobs import Job
from batch_engine.local.base import process_image
from batch_engine.local.base.dockerfile import ImageConfig
from batch_engine.local.base.launch_message import Launch, Limit, Mount, Setup
from batch_engine.local.base.ports import ClientError, SecretSource

SHARED_FOLDER = "file-systems"
# A process that has left its attempt is recognised by these variables.
MARKS = ("AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT")


class StartError(Exception):
    """The command could not be started; the text says why, in the form of an ECS ``reason``."""


class NoSecrets:
    """The source of secrets if only AWS Batch runs: jobs that name secrets do not start."""

    def resolve(self, value_from: str, execution_role: str | None) -> str:
        """Raises ClientError."""
        raise ClientError(f"{execution_role} cannot read {value_from}: only AWS Batch runs here")


@dataclass(frozen=True, slots=True)
class Places:
    """The places of an attempt's files on this machine.

    Args:
        scratch: the attempt's own folder; it is created for the attempt and removed when the attempt ends.
        log: the file that receives its output.
        shared: the folder that holds one folder for each file system that outlives jobs.
    """

    scratch: str
    log: str
    shared: Path


def launch_message(
    job: Job, image: ImageConfig | None, environment: Mapping[str, str], places: Places
) -> Launch:
    """Returns the message that makes the runner start an attempt.

    Raises:
        StartError: this machine cannot provide the resources that the job asks for.
    """
    refuse_unusable(job.container, environment)
    return {
        "key": (job.id, job.attempt.number),
        "argv": command_of(job, image),
        "env": dict(environment),
        "scratch": places.scratch,
        "cwd": (image.workdir if image else "") or places.scratch,
        "log": places.log,
        "memory_bytes": job.memory_mib * 1024 * 1024,
        "marks": MARKS,
        "setup": _setup(job.container, image, places),
    }


def refuse_unusable(container: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Raises StartError for a text that no program can receive: it would end the runner and all its attempts.

    Args:
        container: the job's container properties.
        variables: the whole environment of the attempt.

    Raises:
        StartError: a text has a null byte or half a character, or a variable's name is empty or has an
            equals sign.
    """
    # Each start comes here, so the slow search runs only if there may be a null byte.
    if "\\x00" in repr(container) and (place := next(_nulls(container), None)) is not None:
        raise StartError(f"CannotStartContainerError: {place} holds a null byte")
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            what = "holds a null byte" if "\0" in name + value else "needs a name without an equals sign"
            raise StartError(f"CannotStartContainerError: environment variable {name!r} {what}")
        try:
            _ = value.isascii() or os.fsencode(value)
        except UnicodeEncodeError:
            # Only a secret can hold one: requests are checked when they arrive.
            raise StartError(
                f"CannotStartContainerError: environment variable {name!r} holds a lone surrogate"
            ) from None


def _nulls(value: object, place: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if "\0" in value:
            yield place
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _nulls(item, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{place}[{index}]")


CDK_ASSETS = "-container-assets-"
"""A part of the name of the ECR repository to which the CDK publishes images."""


def command_of(job: Job, image: ImageConfig | None) -> list[str]:
    """Returns the ENTRYPOINT and the job's command, or the image's CMD if the job gives no command."""
    name = job.container["image"]
    known = image or ImageConfig()
    command = [*known.entrypoint, *(job.container["command"] or known.command)]
    if not command:
        raise StartError(
            f"CannotStartContainerError: no command specified, and image {name} is not among the assembly's "
            "container assets, so its command is not known here"
        )
    if image is None and (text := missing_asset(job)) is not None:
        # Without the image's ENTRYPOINT the job's first argument would be run as a program.
        raise StartError(text)
    return command


def missing_asset(job: Job) -> str | None:
    """Returns why an image that is not in the assembly cannot be used; None if it may be in a registry."""
    if CDK_ASSETS not in job.container["image"]:
        return None
    return (
        "CannotPullContainerError: the image is an asset of the CDK, but its Dockerfile is not in the "
        "assembly of this server: start it with --assembly, and the cdk.out that was deployed"
    )


def resolve_secrets(job: Job, source: SecretSource) -> dict[str, str]:
    """Returns the variables that a container's ``secrets`` become.

    Raises:
        StartError: one of them cannot be read.
    """
    variables = {}
    for secret in job.container.get("secrets") or []:
        try:
            role = job.container.get("executionRoleArn")
            variables[secret["name"]] = source.resolve(secret["valueFrom"], role)
        except ClientError as error:
            raise StartError(
                "ResourceInitializationError: unable to pull secrets or registry auth: execution resource "
                f"retrieval failed: {error.message}"
            ) from error
    return variables


def _setup(container: Mapping[str, Any], image: ImageConfig | None, places: Places) -> Setup | None:
    folders: list[str] = []
    mounts = _mounts(container, places, folders)
    limits: list[Limit] = [
        (limit["name"], int(limit["softLimit"]), int(limit["hardLimit"]))
        for limit in container.get("ulimits") or []
    ]
    user = _user(container, image, places.scratch)
    if not mounts and not limits and user is None:
        return None
    return {"mounts": mounts, "limits": limits, "user": user, "folders": folders}


def _mounts(container: Mapping[str, Any], places: Places, folders: list[str]) -> list[Mount]:
    """Returns the mounts of a container; adds the folders of its empty volumes to ``folders``."""
    volumes = {volume["name"]: volume for volume in container.get("volumes") or []}
    mounts: list[Mount] = []
    for mount in container.get("mountPoints") or []:
        name, target = mount.get("sourceVolume") or "", mount.get("containerPath") or ""
        if not target.startswith("/"):
            raise StartError(f"CannotCreateContainerError: containerPath must be absolute, got {target!r}")
        read_only = bool(mount.get("readOnly"))
        source = volume_source(volumes.get(name, {}), places.shared)
        if source is None:
            # A process can use the machine's own /scratch or /tmp, so it can run without an empty volume.
            source = os.path.join(places.scratch, "volumes", os.path.basename(name) or "unnamed")
            folders.append(source)
            mounts.append((source, target, read_only, True))
        elif source != target or read_only:
            mounts.append((source, target, read_only, False))
    for entry in (container.get("linuxParameters") or {}).get("tmpfs") or []:
        mounts.append(("", entry["containerPath"], False, True))  # noqa: PERF401 - as the mounts above
    return mounts


def volume_source(volume: Mapping[str, Any], shared: Path) -> str | None:
    """Returns the folder of a volume's files; None for a volume that starts empty.

    A file system is a folder of this machine that outlives its jobs. An access point is a folder inside it.

    Raises:
        StartError: the folder does not exist, or is outside its file system.
    """
    if efs := volume.get("efsVolumeConfiguration"):
        point = (efs.get("authorizationConfig") or {}).get("accessPointId")
        return _shared_folder(shared, efs["fileSystemId"], efs.get("rootDirectory"), point)
    if s3 := volume.get("s3filesVolumeConfiguration"):
        point = (s3.get("accessPointArn") or "").rpartition("/")[2]
        return _shared_folder(shared, s3["fileSystemArn"].rpartition("/")[2], s3.get("rootDirectory"), point)
    path: str | None = (volume.get("host") or {}).get("sourcePath")
    if path and not os.path.exists(path):
        raise StartError(f"CannotCreateContainerError: host path {path} does not exist on this machine")
    return path or None


def _shared_folder(shared: Path, file_system: str, root: str | None, access_point: str | None) -> str:
    name = os.path.basename(file_system)
    if name in ("", ".", ".."):
        raise StartError(f"CannotCreateContainerError: {file_system!r} is not the id of a file system")
    base = (shared / name).resolve()
    folder = base / "access-points" / os.path.basename(access_point) if access_point else base
    folder = Path(os.path.normpath(folder / (root or "/").lstrip("/")))
    if not folder.is_relative_to(base):
        raise StartError(f"CannotCreateContainerError: rootDirectory {root} leaves its file system")
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _user(container: Mapping[str, Any], image: ImageConfig | None, scratch: str) -> tuple[int, int] | None:
    """Returns the user and group ids that the job runs under; None for those of the server.

    The job's own ``user`` comes first, then the image's USER. Only root may choose other ids than its own.
    """
    if os.geteuid() != 0:
        return None
    if not (given := container.get("user")):
        return process_image.user_of(image, scratch) if image else None
    if (ids := process_image.ids_of(given)) is None:
        raise StartError(
            f"CannotStartContainerError: unable to find user {given}: no matching entries in passwd file"
        )
    return ids
