"""The server process: start, port, state on disk, what clients need. It decides nothing about jobs."""
