from __future__ import annotations

import io
import struct
import wave
import zlib
from fractions import Fraction

import av
import pytest
from media_worker.progress import INTERVAL_S, Progress
from media_worker.rendition import scaled
from media_worker.threads import thread_count
from PIL import Image


def wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty (0 bytes)"),
        (b"just text\n" * 100, "no supported image or video format"),
        (b"PK\x03\x04" + bytes(100), "no supported image or video format"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "no supported image or video format"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (wav(), "no supported image or video format"),
        (b"\xff", "no supported image or video format"),
    ],
    ids=["zero_byte", "text", "zip", "playlist", "heic", "wav", "one_byte"],
)
def test_foreign_input_is_65(work, content, said):
    result = work(content)
    assert (result.exit_code, result.lines[-1]["retryable"]) == (65, False), result.lines
    assert said in result.last
    assert not result.folder.exists()


def test_video_container_without_video_is_65(work, tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        stream.layout = "mono"
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 48_000
        frame.pts = 0
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    result = work(path)
    assert (result.exit_code, result.last) == (65, "job failed: the file has no video stream")


def test_decompression_bomb_is_65(work):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 10_000, 9_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100)))
    result = work(bomb + chunk(b"IEND", b""))
    assert result.exit_code == 65, result.lines
    assert "too many pixels" in result.last


def zeroed(content: bytes, start: float, end: float) -> bytes:
    first, last = int(len(content) * start), int(len(content) * end)
    return content[:first] + bytes(last - first) + content[last:]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


DAMAGE = {
    "cut_in_half": lambda content: content[: len(content) // 2],
    "last_100_bytes_missing": lambda content: content[:-100],
    "hole": lambda content: zeroed(content, 0.4, 0.6),
    "small_hole": lambda content: zeroed(content, 0.5, 0.56),
    "piece_missing": lambda content: content[: len(content) * 2 // 5] + content[len(content) * 3 // 5 :],
    "one_byte_flipped": flipped,
    "beginning_wiped": lambda content: content[:40] + bytes(4096) + content[4136:],
    "signature_only": lambda content: content[:40],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_video_is_75(work, video_bytes, damage):
    result = work(damage(video_bytes))
    assert (result.exit_code, result.lines[-1]["retryable"]) == (75, True), result.lines
    assert result.lines[-1]["error_type"] == "DamagedMediaError"
    assert not result.folder.exists()


def test_cut_matroska_is_75(work, video_bytes, tmp_path):
    path = tmp_path / "whole.mkv"
    with av.open(io.BytesIO(video_bytes)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        copy = target.add_stream_from_template(video)
        for packet in source.demux(video):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    whole = path.read_bytes()
    assert work(whole).exit_code == 0
    assert work(whole[: len(whole) * 7 // 10]).exit_code == 75


@pytest.mark.parametrize(("form", "share"), [("PNG", 0.5), ("JPEG", 0.5), ("PNG", 0.001), ("WEBP", 0.5)])
def test_cut_image_is_75(work, form, share):
    buffer = io.BytesIO()
    Image.effect_noise((200, 200), 50).convert("RGB").save(buffer, form)
    content = buffer.getvalue()
    result = work(content[: max(20, int(len(content) * share))])
    assert (result.exit_code, result.lines[-1]["error_type"]) == (75, "DamagedMediaError"), result.lines


def test_png_with_a_hole_is_75(work, sample):
    result = work(zeroed((sample / "chelsea.png").read_bytes(), 0.5, 0.6))
    assert result.exit_code == 75, result.lines


class Lines:
    def __init__(self) -> None:
        self.logged: list[dict[str, object]] = []

    def info(self, message: str, **fields: object) -> None:
        self.logged.append(fields)


def test_progress_is_logged_seldom():
    log, now_s = Lines(), [0.0]
    progress = Progress(log, 100.0, clock=lambda: now_s[0])  # type: ignore[arg-type]
    for tenth in range(int(INTERVAL_S * 10 * 3) + 1):
        now_s[0] = tenth / 10
        progress.update(float(tenth))
    assert [line["percent"] for line in log.logged] == [50, 100, 100]


@pytest.mark.parametrize(
    ("size", "ratio", "expected"),
    [
        ((1280, 720), None, (640, 360)),
        ((720, 1280), None, (360, 640)),
        ((320, 240), None, (320, 240)),
        ((1, 1), None, (2, 2)),
        ((720, 576), Fraction(16, 11), (654, 360)),
    ],
)
def test_rendition_size(size, ratio, expected):
    assert scaled(*size, ratio) == expected


def test_threads_follow_the_environment_and_stay_few(monkeypatch):
    monkeypatch.delenv("MEDIA_WORKER_THREADS", raising=False)
    assert 1 <= thread_count() <= 2
    monkeypatch.setenv("MEDIA_WORKER_THREADS", "5")
    assert thread_count() == 5
