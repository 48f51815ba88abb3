"""The ``batch-stack`` command."""
