"""Metadata of S3 objects: US-ASCII names and values, at most two kilobytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

# [S3 user guide, Working with object metadata]: the sum of the bytes of all names and values.
MAX_BYTES = 2048
_NAME = re.compile(r"[^a-z0-9-]+")


def encode_name(name: str) -> str:
    """Returns a name of lower-case letters, digits and hyphens, which no proxy changes: `duration-s`."""
    return _NAME.sub("-", name.lower()).strip("-")


def encode_value(value: object) -> str:
    """Returns the text percent-encoded in US-ASCII. `urllib.parse.unquote` restores the original."""
    return quote(str(value), safe="/:,;=@", errors="surrogateescape")


def object_metadata(*groups: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
    """Merges the groups, the most important first, up to the limit of an object.

    Returns the metadata and the names that were left out because of the limit. None values are skipped.
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
