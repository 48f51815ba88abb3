"""Prints the demo's results and writes them to files."""

import json
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from batch_cli.demo.scenario import Result
from batch_cli.demo.stages import Stage

LOG_LINES_SHOWN = 12
SHOWN = ("attempt", "kind", "duration_s", "bytes", "exit_code")
"""The fields of a worker's JSON line that are printed after its message."""

_INDENT = "  "
_FURTHER = " " * 6

COLOURS = {"SUCCEEDED": "green", "FAILED": "red"}


def show(console: Console, results: list[Result], messages: list[str], output: Path) -> None:
    """Prints jobs, log lines, objects and messages. Long lines are wrapped, but never within an id or ARN."""

    def line(text: Text | str) -> None:
        _fitted(console, text if isinstance(text, Text) else Text(text))

    _heading(console, "Jobs")
    for result in results:
        codes = [str(attempt["container"].get("exitCode", "-")) for attempt in result.job["attempts"]]
        status, allowed = result.job["status"], result.job["retryStrategy"]["attempts"]
        line(Text.assemble((f"{status:<9}", COLOURS[status]), f"  {result.sample.key}"))
        line(f"           job {result.job['jobId']}")
        line(f"           attempts {len(codes)} of {allowed}, exit codes {', '.join(codes)}")
    for result in results:
        _heading(console, f"Log of {result.sample.key}", " (CloudWatch Logs)")
        for text in result.log_lines[:LOG_LINES_SHOWN]:
            line(_readable(text))
        if len(result.log_lines) > LOG_LINES_SHOWN:
            line(Text(f"... {len(result.log_lines) - LOG_LINES_SHOWN} more", "dim"))
    _heading(console, "Messages of the SNS topic")
    for message in messages:
        for text in message.splitlines():
            line(text)
    _heading(console, "Objects made", f", now in {output}")
    for result in results:
        for key in result.objects:
            size = (output / key).stat().st_size
            line(f"{set_cell_size(key, max(60, cell_len(key)))} {size:>9,} bytes")


def _heading(console: Console, text: str, more: str = "") -> None:
    console.print(Text.assemble("\n", (text, "bold"), more), soft_wrap=True)


def _fitted(console: Console, text: Text) -> None:
    """Prints an indented line. Wraps it between words if every word fits on a line of its own."""
    width = console.width - len(_FURTHER)
    lines = [text]
    if len(_INDENT) + text.cell_len > console.width and all(
        cell_len(word) <= width for word in text.plain.split()
    ):
        lines = list(text.wrap(console, width))
    for index, one in enumerate(lines):
        one.rstrip()
        # Soft wrap keeps a long id in one piece, so that it can be copied.
        console.print(Text(_FURTHER if index else _INDENT).append_text(one), soft_wrap=True)


def _readable(line: str) -> Text:
    """Returns a worker's JSON line as plain text, and any other line unchanged."""
    try:
        record = json.loads(line)
        facts = " ".join(f"{name}={record[name]}" for name in SHOWN if name in record)
        text = f"{record['time'][11:23]} {record['level']:<5} {record['message']}"
    except (ValueError, KeyError, TypeError):
        return Text(line)
    return Text.assemble(text, "  ", (facts, "dim"))


def write(output: Path, stages: list[Stage], results: list[Result], messages: list[str]) -> None:
    """Writes ``report.json`` and one log for each file beside the objects."""
    report = {
        "stages": [{"name": stage.name, "seconds": round(stage.seconds, 2)} for stage in stages],
        "jobs": [
            {
                "key": result.sample.key,
                "jobId": result.job["jobId"],
                "status": result.job["status"],
                "statusReason": result.job.get("statusReason"),
                "attempts": result.job["attempts"],
                "objects": result.objects,
            }
            for result in results
        ],
        "messages": messages,
    }
    (output / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    for result in results:
        name = result.sample.key.rpartition("/")[2]
        (output / f"{name}.log").write_text("".join(f"{line}\n" for line in result.log_lines))
