"""Decodes the frames of a media file and raises an error at any sign of damage."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from media_worker.errors import DamagedMediaError, UnsupportedMediaError
from media_worker.rational import fraction

# A stream may be this much shorter than its stated duration: containers round, encoders pad.
MAX_SHORTFALL_S = 0.5
MAX_SHORTFALL_SHARE = 0.02
# The errors that FFmpeg's demuxers and decoders raise for damaged data.
_DAMAGE = (
    av.error.InvalidDataError,
    av.error.ArgumentError,
    av.error.EOFError,
    av.error.UnknownError,
    av.error.BufferTooSmallError,
)
_UNSUPPORTED = (av.error.PatchWelcomeError, av.error.LookupError)


def frames(
    source: InputContainer, streams: list[VideoStream | AudioStream]
) -> Iterator[tuple[Stream, VideoFrame | AudioFrame]]:
    """Yields the frames of the streams in the order of the file.

    Raises `DamagedMediaError` for damaged data and `UnsupportedMediaError` for a feature that the decoder
    does not have. Errors of the code that uses the frames are not changed.
    """
    packets = source.demux(streams)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            decoded = packet.decode()
        except _UNSUPPORTED as error:
            raise UnsupportedMediaError(f"cannot be decoded: {error}") from error
        except _DAMAGE as error:
            raise DamagedMediaError(f"the data breaks off or is damaged: {error}") from error
        for frame in decoded:
            if not isinstance(frame, (VideoFrame, AudioFrame)):
                continue
            # Decoders hide damaged data and only mark the frame.
            if packet.is_corrupt or frame.is_corrupt:
                raise DamagedMediaError(f"damaged {packet.stream.type} data at {frame.time} s")
            yield packet.stream, frame


class Meter:
    """Compares the decoded duration with the duration that the file states."""

    def __init__(self, source: InputContainer, video: VideoStream, audio: AudioStream | None) -> None:
        self._video = video
        self._start_s: dict[int, float] = {}
        self._end_s: dict[int, float] = {}
        self.video_frames = 0
        tick_s = fraction(video.time_base)
        self._video_duration_s = float(video.duration * tick_s) if video.duration and tick_s else None
        # The container's duration is that of its longest stream: it counts only without other streams.
        ours_only = len(source.streams) == (1 if audio is None else 2)
        self._container_duration_s = source.duration / av.time_base if source.duration and ours_only else None

    @property
    def duration_s(self) -> float | None:
        """The duration of the video that the file states, in seconds."""
        return self._video_duration_s or self._container_duration_s

    @property
    def video_s(self) -> float:
        """The seconds of video that were decoded."""
        index = self._video.index
        return self._end_s[index] - self._start_s[index] if index in self._end_s else 0.0

    def add(self, stream: Stream, frame: VideoFrame | AudioFrame) -> None:
        """Counts a frame."""
        if isinstance(frame, VideoFrame):
            self.video_frames += 1
        tick_s = fraction(frame.time_base)
        if frame.pts is None or tick_s is None:
            return
        end = float((frame.pts + (frame.duration or 0)) * tick_s)
        self._start_s.setdefault(stream.index, float(frame.pts * tick_s))
        self._end_s[stream.index] = max(end, self._end_s.get(stream.index, end))

    def reached(self, share: Fraction) -> bool:
        """Returns True if this share of the video was decoded, or if the duration is not known."""
        return self.duration_s is None or self.video_s >= share * self.duration_s

    def check_complete(self) -> None:
        """Raises `DamagedMediaError` if much less was decoded than the file states.

        Not every demuxer reports a missing end. MPEG-TS states no duration, so this does not find a cut file.
        """
        if self.video_frames == 0:
            raise DamagedMediaError("no frame could be decoded")
        if self._video_duration_s is not None:
            stated_s, decoded_s = self._video_duration_s, self.video_s
        elif self._container_duration_s is not None:
            stated_s = self._container_duration_s
            decoded_s = max(self._end_s.values()) - min(self._start_s.values()) if self._end_s else 0.0
        else:
            return
        if stated_s - decoded_s > max(MAX_SHORTFALL_S, stated_s * MAX_SHORTFALL_SHARE):
            raise DamagedMediaError(f"{decoded_s:.2f} s could be decoded of {stated_s:.2f} s stated")
