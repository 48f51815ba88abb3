"""Options and errors that several ``local`` commands use."""

from pathlib import Path

import click

from batch_engine.local.server.state import DEFAULT_DATA_DIR, ServerRecord, holder_pid, read_record

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DATA_DIR,
    show_default=True,
    help="The folder of the server's data. One server per folder.",
)


def running_server(data_dir: Path) -> ServerRecord:
    """Returns the record of the server that runs on a data folder.

    Raises:
        ClickException: no server runs on the folder, or it is still starting.
    """
    record = read_record(data_dir)
    if record is None:
        if holder_pid(data_dir) is not None:
            raise click.ClickException(f"no local cloud is running on {data_dir} yet: it is starting")
        raise none_is_running(data_dir)
    return record


def none_is_running(data_dir: Path) -> click.ClickException:
    """Returns the error for a data folder without a server.

    Args:
        data_dir: the folder.
    """
    text = f"no local cloud is running on {data_dir}"
    if data_dir == DEFAULT_DATA_DIR:
        text += f" (in {Path.cwd()}): start one, or name the folder of another with --data-dir"
    return click.ClickException(text)
