"""Job definitions with their images, roles, volumes and secrets. Nothing here submits a job."""
