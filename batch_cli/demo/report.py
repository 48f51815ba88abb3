"""Shows what happened, and writes it down."""

import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from batch_cli.demo.scenario import Result
from batch_cli.demo.stages import Stage

LOG_LINES_SHOWN = 12
SHOWN = ("attempt", "kind", "duration_s", "bytes", "exit_code")
"""Of a worker's JSON line, what is shown beside its message."""

COLOURS = {"SUCCEEDED": "green", "FAILED": "red"}


def show(console: Console, results: list[Result], messages: list[str], output: Path) -> None:
    """Print jobs, log lines, objects and messages."""

    def line(text: str) -> None:
        # Soft wrap: ids and ARNs stay in one piece, to be copied.
        console.print(f"  {text}", highlight=False, soft_wrap=True)

    console.print("\n[bold]Jobs[/bold]")
    for result in results:
        codes = [str(attempt["container"].get("exitCode", "-")) for attempt in result.job["attempts"]]
        status, allowed = result.job["status"], result.job["retryStrategy"]["attempts"]
        line(f"[{COLOURS[status]}]{status:<9}[/]  {result.job['jobId']}  {escape(result.sample.key)}")
        line(f"           attempts {len(codes)} of {allowed}, exit codes {', '.join(codes)}")
    for result in results:
        console.print(f"\n[bold]Log of {escape(result.sample.key)}[/bold] (CloudWatch Logs)")
        for text in result.log_lines[:LOG_LINES_SHOWN]:
            line(_readable(text))
        if len(result.log_lines) > LOG_LINES_SHOWN:
            line(f"[dim]... {len(result.log_lines) - LOG_LINES_SHOWN} more[/dim]")
    console.print("\n[bold]Messages of the SNS topic[/bold]")
    for message in messages:
        for text in message.splitlines():
            line(escape(text))
    console.print(f"\n[bold]Objects made[/bold], now in {escape(str(output))}", soft_wrap=True)
    for result in results:
        for key in result.objects:
            size = (output / key).stat().st_size
            line(f"{escape(key):<64} {size:>9,} bytes")


def _readable(line: str) -> str:
    """A worker's JSON line as a person reads it; any other line as it is."""
    try:
        record = json.loads(line)
        facts = " ".join(f"{name}={record[name]}" for name in SHOWN if name in record)
        text = f"{record['time'][11:23]} {record['level']:<5} {record['message']}"
    except (ValueError, KeyError, TypeError):
        return escape(line)
    return f"{escape(text)}  [dim]{escape(facts)}[/dim]"


def write(output: Path, stages: list[Stage], results: list[Result], messages: list[str]) -> None:
    """Write ``report.json`` and one log a file beside the objects."""
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
