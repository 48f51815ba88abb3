"""The three files that the demo uploads: a good video, a damaged video, and a text file."""

from dataclasses import dataclass
from pathlib import Path

SAMPLE = Path("containers/media/sample/bigbuckbunny.mp4")
PREFIX = "media/"


@dataclass(frozen=True, slots=True)
class Sample:
    """A file to upload, and the expected result of its job.

    Args:
        key: the key of the object.
        body: the content of the file.
        says: a description for people.
        status: the expected final status of the job.
        attempts: the expected number of attempts.
    """

    key: str
    body: bytes
    says: str
    status: str
    attempts: int


def samples(root: Path) -> list[Sample]:
    """Returns the files. They are made from the sample video of this project.

    Args:
        root: the project's folder.
    """
    video = (root / SAMPLE).read_bytes()
    # People use spaces, umlauts and plus signs in file names.
    good = Sample(f"{PREFIX}summer 2026/Häschen + Freunde.mp4", video, "a short film", "SUCCEEDED", 1)
    damaged = Sample(f"{PREFIX}torn.mp4", damage(video), "the film, damaged", "FAILED", 3)
    other = Sample(f"{PREFIX}notes.mp4", b"Not a film at all.\n" * 64, "a text file named .mp4", "FAILED", 1)
    return [good, damaged, other]


def damage(video: bytes) -> bytes:
    """Overwrites the middle third with zeros, as after an incomplete transfer."""
    third = len(video) // 3
    return video[:third] + bytes(third) + video[2 * third :]
