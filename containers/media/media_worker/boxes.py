"""Finds out whether an MP4 or QuickTime file was cut off, from the sizes of its top-level boxes.

Demuxers do not report a missing end if the index of the file is complete. The sizes of the boxes show it.
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
    """Returns how many bytes of the last top-level box are missing. 0 for complete files and other formats.

    Data after the boxes, which some cameras append, is ignored.
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
