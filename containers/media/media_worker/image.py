"""Makes the thumbnail and the WebP rendition of an image."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

from batch_worker import Task
from PIL import Image, ImageOps

from media_worker import thumbnail
from media_worker.errors import DamagedMediaError, UnsupportedMediaError

RENDITION = "rendition.webp"
MAX_SIDE_PX = 1280
# Other formats of Pillow start external programs (EPS) or are rarely used and tested.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF")
# The errors that Pillow's decoders raise for damaged data.
_DECODE_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)


def process(task: Task) -> dict[str, Any]:
    """Writes both results and returns the properties of the source.

    Raises `UnsupportedMediaError` for more pixels than Pillow's limit (a decompression bomb) and
    `DamagedMediaError` for data that cannot be decoded completely. Uses the first frame of an animation.
    """
    image, source = _load(task.input)
    thumbnail.write(task, image)
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    if image.mode not in {"RGB", "RGBA"}:
        transparent = "A" in image.getbands() or "transparency" in image.info
        image = image.convert("RGBA" if transparent else "RGB")
    profile = image.info.get("icc_profile") if source["mode"] in {"RGB", "RGBA"} else None
    # Without EXIF: a rendition may be published, and must not show where and when a photo was taken.
    image.save(task.output_dir / RENDITION, "WEBP", quality=80, icc_profile=profile)
    task.describe(RENDITION, content_type="image/webp", width=image.width, height=image.height, codec="webp")
    return source


def _load(path: Path) -> tuple[Image.Image, dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=FORMATS) as opened:
                source = {
                    "kind": "image",
                    "format": opened.format,
                    "mode": opened.mode,
                    "width": opened.width,
                    "height": opened.height,
                    "frames": getattr(opened, "n_frames", 1),
                }
                opened.load()
                upright = ImageOps.exif_transpose(opened)
                return upright, source
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UnsupportedMediaError(f"too many pixels: {error}") from error
        except _DECODE_ERRORS as error:
            raise DamagedMediaError(f"the image cannot be decoded completely: {error}") from error
