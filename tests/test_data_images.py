"""Images: every form becomes upright RGB on white, or one error that names file and problem."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from adora_mm.data import ImageError, check_images, open_image
from adora_mm.types import Problem


def save(
    path: Path,
    size: tuple[int, int] = (40, 30),
    colour: Any = "red",
    mode: str = "RGB",
    **options: Any,
) -> Path:
    Image.new(mode, size, colour).save(path, **options)
    return path


def png_header_only(path: Path, width: int, height: int) -> Path:
    """A PNG that announces a size and holds almost no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


@pytest.mark.parametrize(
    ("mode", "form", "colour", "seen"),
    [
        ("RGB", "png", (255, 0, 0), (255, 0, 0)),
        ("L", "png", 200, (200, 200, 200)),
        ("1", "png", 1, (255, 255, 255)),
        ("P", "png", 0, (0, 0, 0)),
        ("RGBA", "png", (0, 0, 0, 0), (255, 255, 255)),
        ("RGBA", "png", (0, 0, 0, 51), (204, 204, 204)),
        ("RGBA", "webp", (0, 0, 0, 0), (255, 255, 255)),
        ("LA", "png", (0, 0), (255, 255, 255)),
        ("I;16", "png", 200 * 256 + 17, (200, 200, 200)),
        ("I;16", "tif", 65535, (255, 255, 255)),
        ("CMYK", "tif", (0, 0, 0, 0), (255, 255, 255)),
        ("CMYK", "tif", (0, 0, 0, 255), (0, 0, 0)),
        ("P", "gif", 0, (0, 0, 0)),
        ("RGB", "bmp", (1, 2, 3), (1, 2, 3)),
    ],
)
def test_every_mode_becomes_rgb_on_white(
    tmp_path: Path, mode: str, form: str, colour: Any, seen: tuple[int, int, int]
) -> None:
    image = open_image(save(tmp_path / f"x.{form}", colour=colour, mode=mode))
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert image.getpixel((20, 15)) == seen


def test_palette_transparency_shows_white(tmp_path: Path) -> None:
    save(tmp_path / "x.png", mode="P", colour=0, transparency=0)
    assert open_image(tmp_path / "x.png").getpixel((0, 0)) == (255, 255, 255)


def test_a_cmyk_photograph_keeps_its_brightness(tmp_path: Path) -> None:
    save(tmp_path / "x.jpg", mode="CMYK", colour=(0, 0, 0, 0))
    histogram = open_image(tmp_path / "x.jpg").convert("L").histogram()
    assert sum(histogram[251:]) == 40 * 30


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20), "white")
    ImageDraw.Draw(image).rectangle((0, 0, 9, 9), fill="black")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    image.save(tmp_path / "x.png", exif=exif)
    upright = open_image(tmp_path / "x.png")
    assert upright.size == (20, 40)
    assert upright.getpixel((18, 1)) == (0, 0, 0)
    assert upright.getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((400, 200), 100, (100, 50)),
        ((200, 400), 100, (50, 100)),
        ((40, 30), 100, (40, 30)),
        ((40, 30), None, (40, 30)),
        ((600, 4), 60, (60, 4)),
    ],
)
def test_max_side_shrinks_and_never_enlarges(
    tmp_path: Path, size: tuple[int, int], max_side: int | None, expected: tuple[int, int]
) -> None:
    assert open_image(save(tmp_path / "x.png", size), max_side=max_side).size == expected


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((1, 1), "1x1 px is too small: each side needs 4 px"),
        ((3, 100), "3x100 px is too small"),
        ((20_000, 20_000), "too large: the limit is 64 megapixels"),
        ((9_000, 9_000), "9000x9000 px is too large: the limit is 64 megapixels"),
        ((8_001, 8_000), "8001x8000 px is too large"),
        ((4, 601), "4x601 px is too narrow: the limit is 150:1"),
    ],
)
def test_sizes_are_refused_before_decoding(
    tmp_path: Path, size: tuple[int, int], message: str
) -> None:
    path = png_header_only(tmp_path / "x.png", *size)  # decoding would fail with another message
    with pytest.raises(ImageError, match=message):
        open_image(path)
    ((_, reason),) = check_images([Problem(id="p", question="q", answer="1", images=(path,))])
    assert message in reason


def test_the_extreme_sizes_that_are_allowed(tmp_path: Path) -> None:
    assert open_image(save(tmp_path / "a.png", (4, 4))).size == (4, 4)
    assert open_image(save(tmp_path / "b.png", (600, 4))).size == (600, 4)
    save(tmp_path / "c.png", (2000, 600))
    assert open_image(tmp_path / "c.png", max_megapixels=1.2).size == (2000, 600)
    with pytest.raises(ImageError, match="the limit is 1 megapixels"):
        open_image(tmp_path / "c.png", max_megapixels=1)


def test_a_message_names_the_file_and_the_problem(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png: cannot be read \(No such file"):
        open_image(tmp_path / "nowhere.png")
    with pytest.raises(ImageError, match=r"nowhere\.png of problem 'geo-7': cannot be read"):
        open_image(tmp_path / "nowhere.png", problem_id="geo-7")
    (tmp_path / "x.png").write_text("an error page, not an image")
    with pytest.raises(ImageError, match=r"x\.png: not an image \(27 bytes"):
        open_image(tmp_path / "x.png")
    with pytest.raises(ImageError, match="cannot be read"):
        open_image(tmp_path)
    assert issubclass(ImageError, ValueError)


def test_formats_that_start_programs_are_not_tried(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "x.eps")
    (tmp_path / "x.eps").rename(tmp_path / "x.png")
    with pytest.raises(ImageError, match="not an image"):
        open_image(tmp_path / "x.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_truncated_files_are_found_before_and_while_decoding(tmp_path: Path, form: str) -> None:
    stream = io.BytesIO()
    Image.effect_noise((64, 48), 50).convert("RGB").save(stream, form)
    whole = stream.getvalue()
    path = tmp_path / "x"
    problem = Problem(id="p", question="q", answer="1", images=(path,))
    for part in (0.0, 0.1, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(ImageError):
            open_image(path)
        assert len(check_images([problem])) == 1
    path.write_bytes(whole)
    assert check_images([problem]) == []


def test_check_images_reports_each_problem_once_and_spares_text(tmp_path: Path) -> None:
    good, bad = save(tmp_path / "good.png"), tmp_path / "bad.png"
    bad.write_bytes(b"")
    items = [
        Problem(id="text", question="q", answer="1"),
        Problem(id="good", question="q", answer="1", images=(good, good)),
        Problem(id="bad", question="q", answer="1", images=(good, bad, bad)),
        Problem(id="also", question="q", answer="1", images=(bad,)),
    ]
    reported = check_images(items)
    assert [problem.id for problem, _ in reported] == ["bad", "also"]
    assert "bad.png of problem 'also': not an image" in reported[1][1]
