"""Prints the stages of the demo and measures the time of each."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status
from rich.text import Text


@dataclass(slots=True)
class Stage:
    """A stage with its name, its time and a short result."""

    name: str
    seconds: float = 0.0
    result: str = ""


@dataclass(slots=True)
class Stages:
    """The stages of one run, in order.

    Args:
        console: the output. A console that is not a terminal gets plain lines.
    """

    console: Console
    done: list[Stage] = field(default_factory=list)
    _status: Status | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Shows a stage while it runs, and its time after it succeeded."""
        stage = Stage(name)
        start = time.monotonic()
        with self.console.status(f"[bold]{name}[/bold] ...") as self._status:
            try:
                yield stage
            except BaseException:
                self.console.print(f"[red]✗[/red] {name}")
                raise
        self._status = None
        stage.seconds = time.monotonic() - start
        self.done.append(stage)
        line = Text.assemble(("✓", "green"), f" {name:<45} {stage.seconds:5.1f} s")
        result = Text(stage.result, "dim")
        fits = line.cell_len + 2 + result.cell_len <= self.console.width
        line.append_text(Text("  " if fits else "\n    ")).append_text(result)
        line.rstrip()
        self.console.print(line, soft_wrap=True)

    def update(self, text: str) -> None:
        """Shows a detail of the current stage."""
        if self._status is not None:
            self._status.update(text)
