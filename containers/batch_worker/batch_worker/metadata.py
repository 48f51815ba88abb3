"""Metadata of S3 objects: US-ASCII names and values, two kilobytes in all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

# [S3 user guide, Working with object metadata]: the sum of the bytes of all names and values.
MAX_BYTES = 2048
_NAME = re.compile(r"[^a-z0-9-]+")


def encode_name(name: str) -> str:
    """`duration_s` becomes `duration-s`: lower-case letters, digits and hyphens survive every proxy."""
    return _NAME.sub("-", name.lower()).strip("-")


def encode_value(value: object) -> str:
    """Text in US-ASCII, percent-encoded as UTF-8; `urllib.parse.unquote` gives the original back."""
    return quote(str(value), safe="/:,;=@", errors="surrogateescape")


def object_metadata(*groups: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Merges the groups, the most important first, into what fits on an object.

    Returns the metadata and the names left out because the limit was reached; None values are skipped.
    """
    fits: dict[str, str] = {}
    left_out: list[str] = []
    used_bytes = 0
    for group in groups:
        for raw_name, raw_value in group.items():
            name, value = encode_name(raw_name), encode_value(raw_value)
            if raw_value is None or not name or name in fits:
                continue
            size_bytes = len(name) + len(value)
            if used_bytes + size_bytes > MAX_BYTES:
                left_out.append(name)
                continue
            fits[name] = value
            used_bytes += size_bytes
    return fits, left_out
