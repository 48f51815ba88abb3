"""Makes the thumbnail of both kinds of media."""

from __future__ import annotations

from batch_worker import Task
from PIL import Image

THUMBNAIL = "thumbnail.jpg"
MAX_SIDE_PX = 320


def flatten(image: Image.Image) -> Image.Image:
    """Returns the image in RGB. Transparent pixels become white."""
    if image.mode == "RGB":
        return image
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def write(task: Task, image: Image.Image) -> None:
    """Writes `thumbnail.jpg` with at most 320 pixels on its longer side. Never enlarges an image."""
    small = image.copy()
    small.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    small = flatten(small)
    small.save(task.output_dir / THUMBNAIL, "JPEG", quality=82, optimize=True)
    task.describe(THUMBNAIL, content_type="image/jpeg", width=small.width, height=small.height)
