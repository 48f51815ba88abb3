"""Jobs that could write nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from batch_stack.preflight.finding import Finding, warning
from batch_stack.settings.root import Settings
from batch_stack.settings.volumes import SCRATCH

_ROOT = ("root", "0")


def check_scratch(settings: Settings) -> Iterator[Finding]:
    """Look for users to whom /scratch may be closed: it is root's unless the image has it for others.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/bind-mounts.html
    """
    for name, job in settings.jobs.items():
        user = (job.user or "root").partition(":")[0]
        # A Dockerfile here can be mended here, and is written along with the worker.
        if user in _ROOT or job.folder is not None or not job.read_only_root:
            continue
        if any(volume.path.rstrip("/") == SCRATCH for volume in job.volumes.values()):
            continue
        mend = "" if job.platform == "fargate" else f", or mount a volume of type tmpfs at {SCRATCH}"
        yield warning(
            "scratchOwner",
            f"jobs.{name}.user may write to {SCRATCH}, the only place there is, if the image has that folder "
            f"for them and names it as a VOLUME, got {job.user!r}: make sure of it (docs/workers.md){mend}",
        )
