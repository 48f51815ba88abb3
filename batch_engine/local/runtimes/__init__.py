"""What attempts run as: processes of this machine, or containers."""
