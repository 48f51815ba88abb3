"""Sample worker of batch-stack: a thumbnail and a smaller rendition of an image or a video."""
