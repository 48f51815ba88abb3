"""The `batch-stack local` commands: options, output, errors. The server is in batch_engine.local."""
