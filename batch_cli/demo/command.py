"""``batch-stack demo``: a file dropped in S3 becomes a result, on this machine."""

from pathlib import Path

import click

from batch_cli.demo.errors import DemoError

DATA_DIR = Path(".batch-stack/demo")


@click.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Where the results go; an earlier demo's are removed.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA_DIR,
    show_default=True,
    help="Where the local cloud keeps its state and the logs; an earlier demo's are removed.",
)
def demo(*, output: Path, data_dir: Path) -> None:
    """Deploy the stack to this machine, drop three files, and show what becomes of them.

    Needs no AWS account and no Docker. Everything that it starts has ended when it returns.
    """
    # Here, not at the top: `batch-stack --help` need not wait for boto3 and rich.
    from batch_cli.demo.run import run_demo  # noqa: PLC0415

    try:
        run_demo(output=output.resolve(), data_dir=data_dir.resolve())
    except DemoError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nInterrupted: everything that was started has been stopped.", err=True)
        raise SystemExit(130) from None
