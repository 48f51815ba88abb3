"""Makes the thumbnail and the 360p rendition of a video, in one pass over the decoded frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from batch_worker import Task
from PIL import Image

from media_worker import boxes, thumbnail
from media_worker.decode import Meter, frames
from media_worker.errors import DamagedMediaError, UnsupportedMediaError
from media_worker.progress import Progress
from media_worker.rendition import RENDITION, Rendition
from media_worker.threads import thread_count

MAX_PIXELS = 64 * 1024 * 1024
# Only these demuxers, and only files: with a playlist, FFmpeg would open any file or URL that it names.
OPEN_OPTIONS = {"format_whitelist": "mov,matroska,avi,mpegts,mpeg,flv,asf", "protocol_whitelist": "file"}
# Titles in an unknown encoding must not stop a conversion. PyAV 19 always replaces, without this argument.
OPEN_EXTRA: dict[str, Any] = {"metadata_errors": "replace"} if av.__version__.startswith("18.") else {}
# The thumbnail is taken here, because the first frame is often black.
THUMBNAIL_AT = Fraction(1, 10)


def process(task: Task) -> dict[str, Any]:
    """Writes both results and returns the properties of the source.

    Raises `UnsupportedMediaError` if the file has no video that this worker can decode, and
    `DamagedMediaError` if it is cut off or damaged, or if it begins like a video but cannot be opened.
    """
    if missing_bytes := boxes.missing_bytes(task.input):
        raise DamagedMediaError(f"the file was cut off: at least {missing_bytes} bytes are missing")
    with _open(task.input) as source:
        video, _ = _select(source)
        rotation = next((f.rotation for _, f in frames(source, [video]) if isinstance(f, VideoFrame)), 0)
    # Only the first frame has the rotation of the camera. The second opening reads from the start again.
    with _open(task.input) as source:
        return _convert(task, source, rotation)


def _open(path: Path) -> InputContainer:
    try:
        container: InputContainer = av.open(str(path), "r", options=OPEN_OPTIONS, **OPEN_EXTRA)
        return container
    except (av.error.LookupError, av.error.ArgumentError) as error:
        raise UnsupportedMediaError(f"no demuxer for this file: {error}") from error
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise DamagedMediaError(f"the file begins like a video but cannot be opened: {error}") from error


def _select(source: InputContainer) -> tuple[VideoStream, AudioStream | None]:
    # For FFmpeg, cover art is a video stream with one picture.
    videos = [stream for stream in source.streams.video if not stream.disposition & Disposition.attached_pic]
    if not videos:
        raise UnsupportedMediaError("the file has no video stream")
    best = source.streams.best("video")
    video = best if isinstance(best, VideoStream) and best in videos else videos[0]
    if not video.codec_context:
        raise UnsupportedMediaError("no decoder for the video stream")
    if video.width * video.height > MAX_PIXELS:
        raise UnsupportedMediaError(f"{video.width}x{video.height} exceeds {MAX_PIXELS} pixels a frame")
    video.thread_type = "AUTO"
    video.codec_context.thread_count = thread_count()
    audio = source.streams.best("audio", related=video)
    if isinstance(audio, AudioStream) and audio.codec_context and audio.rate:
        return video, audio
    return video, None


def _convert(task: Task, source: InputContainer, rotation: int) -> dict[str, Any]:
    video, audio = _select(source)
    meter = Meter(source, video, audio)
    progress = Progress(task.log, meter.duration_s)
    picture: VideoFrame | None = None
    with Rendition(task.output_dir / RENDITION, video, audio, rotation) as rendition:
        for stream, frame in frames(source, [video] if audio is None else [video, audio]):
            if isinstance(frame, VideoFrame):
                if picture is None or not meter.reached(THUMBNAIL_AT):
                    picture = frame
                rendition.add_video(frame)
            else:
                rendition.add_audio(frame)
            meter.add(stream, frame)
            progress.update(meter.video_s)
        meter.check_complete()
        rendition.finish()
    if picture is None:
        raise DamagedMediaError("no frame could be decoded")
    image: Image.Image = picture.to_image()  # type: ignore[no-untyped-call]
    thumbnail.write(task, image.rotate(rotation, expand=True))
    duration_s = round(meter.video_s, 3)
    task.describe(RENDITION, content_type="video/mp4", duration_s=duration_s, **rendition.facts())
    return {
        "kind": "video",
        "format": source.format.name,
        "width": video.width,
        "height": video.height,
        "rotation": rotation,
        "codec": video.codec_context.name,
        "audio_codec": audio.codec_context.name if audio else None,
        "duration_s": duration_s,
        "frames": meter.video_frames,
    }
