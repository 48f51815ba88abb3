"""Encodes the 360p rendition: H.264, and AAC if the source has sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media_worker.rational import fraction
from media_worker.threads import thread_count

RENDITION = "rendition.mp4"
MAX_SHORT_SIDE_PX = 360
MAX_AUDIO_RATE_HZ = 48_000
AUDIO_BITS_PER_S = 128_000
X264_OPTIONS = {"crf": "26", "preset": "veryfast"}
DEFAULT_RATE = Fraction(25)
# By the anticlockwise rotation in degrees that turns the picture upright.
_ROTATIONS = {
    90: (("transpose", "cclock"),),
    180: (("hflip", None), ("vflip", None)),
    270: (("transpose", "clock"),),
}


def scaled(width: int, height: int, sample_aspect_ratio: Fraction | None) -> tuple[int, int]:
    """Returns an even size with square pixels and a shorter side of at most 360. Never enlarges."""
    wide = width * (sample_aspect_ratio or 1)
    factor = min(Fraction(1), Fraction(MAX_SHORT_SIDE_PX) / max(1, min(wide, height)))
    return max(2, round(wide * factor / 2) * 2), max(2, round(height * factor / 2) * 2)


class Rendition:
    """Encodes frames in the order of their arrival and writes an MP4 that can play before it is complete.

    `rotation` is the source's anticlockwise display rotation in degrees, a multiple of 90.
    """

    def __init__(self, path: Path, video: VideoStream, audio: AudioStream | None, rotation: int) -> None:
        self._size = scaled(video.width, video.height, fraction(video.sample_aspect_ratio))
        self._steps = _ROTATIONS.get(rotation % 360, ())
        self._graph: Graph | None = None
        self._last_pts: int | None = None
        self._frames = 0
        self._output = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        sideways = rotation % 180 != 0
        self._video = self._output.add_stream("libx264", rate=fraction(video.guessed_rate) or DEFAULT_RATE)
        self._video.width, self._video.height = self._size[::-1] if sideways else self._size
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.options = X264_OPTIONS
        self._video.codec_context.thread_count = thread_count()
        # The source's time base keeps a variable frame rate.
        self._time_base = fraction(video.time_base) or 1 / DEFAULT_RATE
        self._video.codec_context.time_base = self._time_base
        self._audio: AudioStream | None = None
        if audio is not None:
            self._audio = self._output.add_stream("aac", rate=min(audio.rate, MAX_AUDIO_RATE_HZ))
            self._audio.bit_rate = AUDIO_BITS_PER_S
            self._audio.layout = "mono" if audio.channels == 1 else "stereo"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._output.close()

    def add_video(self, frame: VideoFrame) -> None:
        """Scales, rotates and encodes a frame. Drops a frame that is not later than the one before."""
        if frame.pts is None or (self._last_pts is not None and frame.pts <= self._last_pts):
            return
        self._last_pts = frame.pts
        width, height = self._size
        small = self._upright(frame.reformat(width, height, "yuv420p"))
        # The new encoder decides which frames are key frames.
        small.pict_type = 0
        self._frames += 1
        self._output.mux(self._video.encode(small))

    def add_audio(self, frame: AudioFrame) -> None:
        """Resamples sound for the encoder and encodes it."""
        if self._audio is not None:
            self._output.mux(self._audio.encode(frame))

    def finish(self) -> None:
        """Flushes the encoders."""
        self._output.mux(self._video.encode(None))
        if self._audio is not None:
            self._output.mux(self._audio.encode(None))

    def facts(self) -> dict[str, Any]:
        """The properties of the rendition."""
        return {
            "width": self._video.width,
            "height": self._video.height,
            "codec": "h264",
            "audio_codec": "aac" if self._audio is not None else None,
            "frames": self._frames,
        }

    def _upright(self, frame: VideoFrame) -> VideoFrame:
        if not self._steps:
            return frame
        if self._graph is None:
            self._graph = self._rotating_graph(frame)
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _rotating_graph(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=self._time_base,
        )
        steps = [graph.add(name, argument) for name, argument in self._steps]
        graph.link_nodes(source, *steps, graph.add("buffersink"))
        graph.configure()
        return graph
