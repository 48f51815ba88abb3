"""The three files that the demo drops: a good one, a damaged one, and one that is no media file at all."""

from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path("containers/media/sample/bigbuckbunny.mp4")
PREFIX = "media/"


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to drop, and what must become of it.

    Args:
        key: where it is dropped.
        body: its bytes.
        says: what it is, for people.
        status: the state in which its job must end.
        attempts: how many attempts the job's retry rules give it.
    """

    key: str
    body: bytes
    says: str
    status: str
    attempts: int


def samples(root: Path) -> list[Sample]:
    """The files, made from the sample video that the project ships.

    Args:
        root: the project's folder.
    """
    video = (root / SAMPLE).read_bytes()
    # A key as people name files: with spaces, an umlaut and a plus.
    good = Sample(f"{PREFIX}summer 2026/Häschen + Freunde.mp4", video, "a short film", "SUCCEEDED", 1)
    damaged = Sample(f"{PREFIX}torn.mp4", damage(video), "the film, damaged", "FAILED", 3)
    other = Sample(f"{PREFIX}notes.mp4", b"Not a film at all.\n" * 64, "a text file named .mp4", "FAILED", 1)
    return [good, damaged, other]


def damage(video: bytes) -> bytes:
    """Overwrite the middle third with zeros: what a torn transfer leaves."""
    third = len(video) // 3
    return video[:third] + bytes(third) + video[2 * third :]
