"""Runs attempts, as processes of this machine or as containers."""
