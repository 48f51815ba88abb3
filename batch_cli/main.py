"""The ``batch-stack`` command."""

import click

from batch_cli.lazy import LazyGroup

_COMMANDS = {
    "demo": ("batch_cli.demo.command:demo", "Deploy the stack to this machine and process three files."),
    "local": ("batch_cli.local.group:local", "A cloud on this machine, with AWS Batch."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="batch-stack")
def main() -> None:
    """A batch platform on AWS Batch, and the same stack on one machine."""


if __name__ == "__main__":
    main()
