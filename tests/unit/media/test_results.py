from __future__ import annotations

import io
import math
from pathlib import Path

import av
import pytest
from PIL import Image


def test_video_sample(work, sample):
    result = work(sample / "bigbuckbunny.mp4")
    assert result.exit_code == 0, result.lines
    assert {path.name for path in result.folder.iterdir()} == {
        "thumbnail.jpg",
        "rendition.mp4",
        "result.json",
    }
    source = result.manifest["metadata"]
    assert (source["width"], source["height"], source["codec"], source["frames"]) == (1280, 720, "h264", 132)
    assert math.isclose(source["duration_s"], 5.28, abs_tol=0.05)
    with Image.open(result.folder / "thumbnail.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (320, 180))
    with av.open(str(result.folder / "rendition.mp4")) as rendition:
        video, audio = rendition.streams.video[0], rendition.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height) == (640, 360)
        assert sum(1 for _ in rendition.decode(video)) == 132
        assert math.isclose(rendition.duration / 1e6, 5.31, abs_tol=0.1)
    content = (result.folder / "rendition.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert result.output("rendition.mp4")["metadata"]["audio_codec"] == "aac"
    assert result.output("rendition.mp4")["content_type"] == "video/mp4"


def test_image_sample(work, sample):
    result = work(sample / "chelsea.png")
    assert result.exit_code == 0, result.lines
    assert result.manifest["metadata"]["format"] == "PNG"
    with Image.open(result.folder / "thumbnail.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (320, 213))
    with Image.open(result.folder / "rendition.webp") as image:
        assert (image.format, image.size) == ("WEBP", (451, 300))
    assert result.output("rendition.webp")["metadata"] == {"width": 451, "height": 300, "codec": "webp"}
    assert result.output("rendition.webp")["content_type"] == "image/webp"


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


FORMS = [(form, mode) for form in ("PNG", "WEBP", "GIF", "TIFF") for mode in ("RGB", "L", "P")]


@pytest.mark.parametrize(("form", "mode"), [*FORMS, ("JPEG", "RGB"), ("JPEG", "L")])
def test_every_format_and_mode(work, form, mode):
    result = work(encoded(Image.new(mode, (40, 20)), form))
    assert result.exit_code == 0, result.lines
    assert result.output("thumbnail.jpg")["metadata"] == {"width": 40, "height": 20}


def test_large_image_is_reduced(work):
    result = work(encoded(Image.new("CMYK", (3000, 1500)), "JPEG"))
    assert result.exit_code == 0, result.lines
    with Image.open(result.folder / "rendition.webp") as image:
        assert image.size == (1280, 640)


def test_transparency_becomes_white_in_the_thumbnail_and_stays_in_the_rendition(work):
    result = work(encoded(Image.new("RGBA", (64, 64), (255, 0, 0, 0)), "PNG"))
    with Image.open(result.folder / "thumbnail.jpg") as image:
        assert image.getpixel((32, 32)) == (255, 255, 255)
    with Image.open(result.folder / "rendition.webp") as image:
        assert image.getpixel((32, 32))[3] == 0


def test_exif_orientation_is_honoured_and_exif_left_behind(work):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret place"
    image = Image.new("RGB", (64, 32), "red")
    image.paste("blue", (0, 0, 32, 32))
    result = work(encoded(image, "JPEG", exif=exif))
    for name in ("thumbnail.jpg", "rendition.webp"):
        with Image.open(result.folder / name) as upright:
            assert upright.size == (32, 64)
            red, _, blue = upright.convert("RGB").getpixel((16, 8))
            assert blue > 200 > red
        assert b"secret" not in (result.folder / name).read_bytes()


def clip(path: Path, *, size: tuple[int, int] = (96, 64), rotation: int = 0, codec: str = "mpeg4") -> Path:
    """A second of video whose left half is blue and whose right half is red."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (0, 0, size[0] // 2, size[1]))
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(10):
            frame = av.VideoFrame.from_image(picture)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_video_without_sound(work, tmp_path):
    result = work(clip(tmp_path / "silent.mp4"))
    assert result.exit_code == 0, result.lines
    with av.open(str(result.folder / "rendition.mp4")) as rendition:
        assert [stream.type for stream in rendition.streams] == ["video"]
        assert (rendition.streams.video[0].width, rendition.streams.video[0].height) == (96, 64)
    assert result.output("rendition.mp4")["metadata"]["audio_codec"] is None


@pytest.mark.parametrize("suffix", ["mkv", "avi", "ts", "mov"])
def test_other_containers(work, tmp_path, suffix):
    result = work(clip(tmp_path / f"clip.{suffix}"))
    assert result.exit_code == 0, result.lines
    assert result.manifest["metadata"]["frames"] == 10


def test_odd_size_is_made_even(work, tmp_path):
    result = work(clip(tmp_path / "odd.avi", size=(101, 75), codec="mpeg4"))
    assert result.exit_code == 0, result.lines
    metadata = result.output("rendition.mp4")["metadata"]
    assert (metadata["width"] % 2, metadata["height"] % 2) == (0, 0)


@pytest.mark.parametrize(
    ("rotation", "size", "blue_at"),
    [(90, (64, 96), (32, 80)), (-90, (64, 96), (32, 16)), (180, (96, 64), (80, 32))],
)
def test_rotated_video_is_set_upright(*, work, tmp_path, rotation, size, blue_at):
    source = clip(tmp_path / "rotated.mp4", rotation=rotation)
    with av.open(str(source)) as container:
        assert abs(next(container.decode(video=0)).rotation) == abs(rotation)
    result = work(source)
    assert result.exit_code == 0, result.lines
    with av.open(str(result.folder / "rendition.mp4")) as rendition:
        frame = next(rendition.decode(video=0))
        assert (frame.rotation, (frame.width, frame.height)) == (0, size)
        red, _, blue = frame.to_image().getpixel(blue_at)
        assert blue > 150 > red
    with Image.open(result.folder / "thumbnail.jpg") as image:
        assert image.size == size
        red, _, blue = image.getpixel(blue_at)
        assert blue > 150 > red
