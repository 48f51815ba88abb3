"""The ``batch-stack demo`` command."""

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
    help="The folder for the results. Results of an earlier demo are removed.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DATA_DIR,
    show_default=True,
    help="The folder for the local cloud's state and the logs. Those of an earlier demo are removed.",
)
def demo(*, output: Path, data_dir: Path) -> None:
    """Deploy the stack to this machine, upload three files, and show their jobs and results.

    Needs no AWS account and no Docker. All processes that it starts have ended when it returns.
    """
    # Imported here, so that `batch-stack --help` does not wait for boto3 and rich.
    from batch_cli.demo.run import run_demo  # noqa: PLC0415

    try:
        run_demo(output=output.resolve(), data_dir=data_dir.resolve())
    except DemoError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nInterrupted. All processes that the demo started have been stopped.", err=True)
        raise SystemExit(130) from None
