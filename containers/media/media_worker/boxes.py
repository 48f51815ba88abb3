"""Finds out whether an MP4 or QuickTime file was cut off, from the sizes its own top-level boxes state.

Demuxers pass over a missing tail in silence when the index happens to be intact; the box sizes cannot lie.
[ISO/IEC 14496-12, 4.2 Object structure]
"""

from __future__ import annotations

from pathlib import Path

_TOP_LEVEL = frozenset(
    {
        b"ftyp",
        b"moov",
        b"mdat",
        b"moof",
        b"mfra",
        b"free",
        b"skip",
        b"wide",
        b"uuid",
        b"meta",
        b"sidx",
        b"styp",
    }
)
_LARGE_SIZE = 1
_TO_END_OF_FILE = 0


def missing_bytes(path: Path) -> int:
    """How many bytes the last top-level box lacks; 0 for a complete file and for other formats.

    What follows the boxes without being one (some cameras append data of their own) is not judged.
    """
    file_bytes = path.stat().st_size
    offset = 0
    with path.open("rb") as file:
        while offset < file_bytes:
            file.seek(offset)
            header = file.read(16)
            size, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if size == _LARGE_SIZE:
                size = int.from_bytes(header[8:16], "big")
            if kind not in _TOP_LEVEL or size == _TO_END_OF_FILE or size < 8:
                return 0
            offset += size
    return offset - file_bytes
