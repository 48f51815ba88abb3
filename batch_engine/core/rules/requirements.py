"""The requirements of a job: vCPUs, memory, GPUs, and the pairs that Fargate offers.

https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
"""

import re
from dataclasses import dataclass

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.resources import Platform
from batch_engine.core.model.wire import Wire

TYPES = ("VCPU", "MEMORY", "GPU")
MIN_MEMORY_MIB = 4
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{0,9})?")
_WHOLE = re.compile(r"[0-9]{1,12}")

FARGATE_MEMORY_MIB: dict[int, tuple[int, ...]] = {
    250: (512, 1024, 2048),
    500: (1024, 2048, 3072, 4096),
    1000: tuple(range(2048, 8192 + 1, 1024)),
    2000: tuple(range(4096, 16384 + 1, 1024)),
    4000: tuple(range(8192, 30720 + 1, 1024)),
    8000: tuple(range(16384, 61440 + 1, 4096)),
    16000: tuple(range(32768, 122880 + 1, 8192)),
    32000: (61440, 122880, 249856),
}
"""Memory sizes by thousandths of a vCPU."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The requirements of one container."""

    milli_vcpus: int
    memory_mib: int
    gpus: int = 0


def merge(defined: Wire, overrides: Wire) -> list[Wire]:
    """Returns ``resourceRequirements`` of a definition, in which those of SubmitJob replace their type.

    The deprecated ``vcpus`` and ``memory`` override only the deprecated members of a definition, never its
    ``resourceRequirements``.
    """
    by_type: dict[str, str] = {}
    if "vcpus" in defined:
        by_type["VCPU"] = str(overrides.get("vcpus", defined["vcpus"]))
    if "memory" in defined:
        by_type["MEMORY"] = str(overrides.get("memory", defined["memory"]))
    for wire in (
        *(defined.get("resourceRequirements") or []),
        *(overrides.get("resourceRequirements") or []),
    ):
        by_type[wire["type"]] = wire["value"]
    return [{"type": kind, "value": value} for kind, value in by_type.items()]


def parse(requirements: list[Wire], platform: Platform) -> Needs:
    """Reads and checks ``resourceRequirements``.

    Raises:
        ClientError: in AWS Batch's own words where they are known.
    """
    values: dict[str, str] = {}
    for wire in requirements:
        if wire["type"] not in TYPES:
            raise ClientError(f"resourceRequirements must be of {', '.join(TYPES)}, got {wire['type'][:64]}")
        if wire["type"] in values:
            raise ClientError("Cannot provide duplicates in resourceRequirements.")
        values[wire["type"]] = wire["value"]
    if "VCPU" not in values:
        raise ClientError("vCPU is required.")
    if "MEMORY" not in values:
        raise ClientError("Memory is required.")
    milli_vcpus = _milli(values["VCPU"])
    memory_mib = _whole("MEMORY", values["MEMORY"], MIN_MEMORY_MIB)
    gpus = _whole("GPU", values["GPU"], 1) if "GPU" in values else 0
    if platform is Platform.FARGATE:
        if gpus:
            raise ClientError("GPU is not applicable for Fargate.")
        _check_fargate(milli_vcpus, memory_mib)
    elif milli_vcpus < 1000 or milli_vcpus % 1000:
        raise ClientError(
            f"vCPU must be at least 1, got {values['VCPU']}."
            if milli_vcpus < 1000
            else f"vCPU must be a whole number, got {values['VCPU']}."
        )
    return Needs(milli_vcpus, memory_mib, gpus)


def amount(kind: str, text: str) -> float:
    """Returns the value of one requirement as a number.

    Raises:
        ClientError: it is not a number.
    """
    return _milli(text) / 1000 if kind == "VCPU" else _whole(kind, text, 1)


def _milli(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ClientError(f"vCPU must be a number, got {text[:64]}.")
    return round(float(text) * 1000)


def _whole(kind: str, text: str, smallest: int) -> int:
    if not _WHOLE.fullmatch(text) or int(text) < smallest:
        raise ClientError(f"{kind} must be a whole number of at least {smallest}, got {text[:64]}.")
    return int(text)


def _check_fargate(milli_vcpus: int, memory_mib: int) -> None:
    sizes = FARGATE_MEMORY_MIB.get(milli_vcpus)
    if sizes is None:
        allowed = ", ".join(f"{milli / 1000:g}" for milli in FARGATE_MEMORY_MIB)
        raise ClientError(f"Fargate vCPU must be one of {allowed}, got {milli_vcpus / 1000:g}.")
    if memory_mib not in sizes:
        allowed = ", ".join(map(str, sizes))
        raise ClientError(
            f"Fargate memory for {milli_vcpus / 1000:g} vCPU must be one of {allowed} MiB, got {memory_mib}."
        )
