"""The one place that touches MiniStack: the rest of AWS on this machine."""
