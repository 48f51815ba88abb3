"""How people learn of what happens: notifications."""
