"""Carries out what the core decides: attempts, timers, logs, events. It knows no HTTP and no MiniStack."""
