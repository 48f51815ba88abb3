"""Attempts as containers, through a docker-like command line."""
