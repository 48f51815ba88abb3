"""The server process: its start, port, record on disk, and the environment of clients. Nothing about jobs."""
