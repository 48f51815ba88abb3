"""The sample worker of batch-stack: makes a thumbnail and a smaller rendition of an image or a video."""
