"""Locations of input and output: `s3://bucket/key`, `file:///path` or a path. Nothing is decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from batch_worker.errors import BadInputError, UsageError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


@dataclass(frozen=True)
class S3Place:
    """An S3 object, or a prefix of objects. `key` is never URL-decoded."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The location as `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    def child(self, relative: str) -> S3Place:
        """Returns the location `relative` under this prefix, with exactly one slash between them."""
        prefix = self.key if not self.key or self.key.endswith("/") else f"{self.key}/"
        return S3Place(self.bucket, prefix + relative)


@dataclass(frozen=True)
class LocalPlace:
    """A file or folder of this machine."""

    path: Path

    @property
    def uri(self) -> str:
        """The location as `file://` and the absolute path, without percent-encoding."""
        return f"file://{self.path.absolute()}"

    def child(self, relative: str) -> LocalPlace:
        """Returns the location `relative` under this folder."""
        return LocalPlace(self.path / relative)


Place = S3Place | LocalPlace


def parse(text: str, option: str) -> Place:
    """Reads the value of a command-line option.

    Raises `UsageError`, which names the option, for an empty value, an unknown scheme, an S3 URI without a
    bucket and a file URI with a host.
    """
    if not text:
        raise UsageError(f"{option} is empty; expected s3://bucket/key, file:///path or a path")
    match = _SCHEME.fullmatch(text)
    if match is None:
        return LocalPlace(Path(text))
    scheme, rest = match.group(1).lower(), match.group(2)
    if scheme == "s3":
        bucket, _, key = rest.partition("/")
        if not bucket:
            raise UsageError(f"{option} has no bucket: {text!r}; expected s3://bucket/key")
        return S3Place(bucket, key)
    if scheme == "file":
        if not rest.startswith("/"):
            raise UsageError(f"{option} names a host: {text!r}; expected file:///absolute/path")
        return LocalPlace(Path(rest))
    raise UsageError(f"{option} has scheme {scheme!r} in {text!r}; expected s3, file or a plain path")


def base_name(place: Place) -> str:
    """Returns the last part of the input's key or path. Results are filed under this name.

    Raises `BadInputError` for a key that ends in a slash (a folder marker) or in a name such as `..`, which
    would lead out of the output folder.
    """
    name = place.key.rpartition("/")[2] if isinstance(place, S3Place) else place.path.name
    if name in {"", ".", ".."} or "\0" in name:
        raise BadInputError(f"{place.uri} does not name a file: its last part is {name!r}")
    return name
