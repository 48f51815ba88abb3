"""Compute environments of every kind, with their roles and launch templates."""
