"""The logs of jobs as files: a server without CloudWatch Logs writes them, and `local logs` reads them."""

from collections.abc import Iterator
from pathlib import Path

FOLDER = "logs"


class FileLogs:
    """Log streams as files below the data folder; it implements ``LogSink``.

    Args:
        data_dir: the server's data folder. Its folder ``logs`` holds a folder for each log group.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def put(self, group: str, stream: str, lines: list[tuple[int, str]]) -> None:
        """Appends lines.

        Raises:
            ValueError: the names lead out of the folder.
        """
        path = self._path(group, stream)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.writelines(f"{text}\n" for _, text in lines)

    def read(self, group: str, stream: str) -> Iterator[str]:
        """Returns the lines of a stream; none if no line was written.

        Raises:
            ValueError: the names lead out of the folder.
        """
        path = self._path(group, stream)
        if path.is_file():
            with path.open() as file:
                yield from (line.removesuffix("\n") for line in file)

    def _path(self, group: str, stream: str) -> Path:
        path = (self._folder / group.strip("/") / stream).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise ValueError(f"log group {group} and stream {stream} lead out of {self._folder}")
        return path
