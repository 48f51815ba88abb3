"""Finds out whether a file is an image, a video, or neither, from its first bytes."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from media_worker.errors import UnsupportedMediaError

_HEAD_BYTES = 564
_TS_PACKET_BYTES = 188
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_QUICKTIME_BOXES = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})


class Kind(Enum):
    """The kinds of media."""

    IMAGE = "image"
    VIDEO = "video"


def detect(path: Path) -> Kind:
    """Returns the kind of the file.

    Raises `UnsupportedMediaError` for an empty file and for one that does not begin like a supported format.
    The suffix of the name is ignored, because it may be wrong.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise UnsupportedMediaError("the file is empty (0 bytes)")
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        raise UnsupportedMediaError("HEIC/HEIF images are not supported")
    if _is_image(head):
        return Kind.IMAGE
    if _is_video(head):
        return Kind.VIDEO
    raise UnsupportedMediaError(f"no supported image or video format begins with {head[:16].hex(' ')}")


def _is_image(head: bytes) -> bool:
    return (
        head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"))
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS)
    )


def _is_video(head: bytes) -> bool:
    sync_bytes = head[::_TS_PACKET_BYTES]
    return (
        head[4:8] == b"ftyp"
        or head[4:8] in _QUICKTIME_BOXES
        or head.startswith((b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"\x30\x26\xb2\x75"))
        or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")
        or (len(sync_bytes) >= 3 and set(sync_bytes) == {ord("G")})
    )
