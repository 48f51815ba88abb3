"""Shows what is going on, stage by stage, and remembers how long each took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.status import Status
from rich.text import Text


@dataclass(slots=True)
class Stage:
    """One stage: its name, its time and a word about what came of it."""

    name: str
    seconds: float = 0.0
    result: str = ""


@dataclass(slots=True)
class Stages:
    """The stages of one run, in order.

    Args:
        console: where to show them; a console that is no terminal gets plain lines.
    """

    console: Console
    done: list[Stage] = field(default_factory=list)
    _status: Status | None = None

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Show a stage while it runs, and its time when it has ended well."""
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
        """Say more about the stage under way."""
        if self._status is not None:
            self._status.update(text)
