"""Images behind limits: checked from the header before a pixel is decoded, then plain upright RGB.

Diagrams come from many hands: transparent PNGs, palette GIFs, 16-bit scans, CMYK photographs, and
files that are damaged or absurdly large. Everything that a model sees passes `open_image`; what it
would refuse is found before training by `check_images`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from adora_mm.types import Problem

MIN_SIDE_PX = 4
MAX_MEGAPIXELS = 64.0
MAX_ASPECT = 150
"""Longer side over shorter: the image processors of the Qwen-VL family fail from 200."""
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")
"""Nothing else is tried: Pillow's other decoders include ones that start outside programs."""


class ImageError(ValueError):
    """An image that cannot be used; the message names the file, the problem and the reason."""


def open_image(
    path: Path,
    *,
    max_side: int | None = None,
    max_megapixels: float = MAX_MEGAPIXELS,
    problem_id: str = "",
) -> Image.Image:
    """Decode one image to RGB, upright (EXIF), transparency on white, at most `max_side` px long.

    Smaller images are not enlarged; shrinking never takes a side below 4 px. 16-bit grey keeps its
    upper 8 bits, CMYK is converted. Raises ImageError for missing, unreadable or truncated files
    and for sizes outside the limits, which are checked before any pixel is decoded.
    """
    data = read_image(path, problem_id)
    try:
        with _open_checked(data, max_megapixels) as image:
            rgb = _to_rgb(ImageOps.exif_transpose(image))
    except ImageError as error:
        raise ImageError(f"{_where(path, problem_id)}: {error}") from error
    except Exception as error:  # damaged files make decoders raise whatever they run into
        raise ImageError(f"{_where(path, problem_id)}: cannot be decoded ({error})") from error
    return _shrink(rgb, max_side)


def check_images(
    problems: Iterable[Problem], *, max_megapixels: float = MAX_MEGAPIXELS
) -> list[tuple[Problem, str]]:
    """Problems with an image that cannot be used, each with its first reason; each file read once.

    What `open_image` would refuse, at a fraction of the cost (see `image_fault`).
    """
    reasons: dict[Path, str | None] = {}
    bad: list[tuple[Problem, str]] = []
    for problem in problems:
        for path in problem.images:
            if path not in reasons:
                reasons[path] = _file_fault(path, max_megapixels)
            reason = reasons[path]
            if reason is not None:
                bad.append((problem, f"{_where(path, problem.id)}: {reason}"))
                break
    return bad


def _file_fault(path: Path, max_megapixels: float) -> str | None:
    try:
        return image_fault(path.read_bytes(), max_megapixels=max_megapixels)
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def image_fault(data: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> str | None:
    """Why an encoded image cannot be used, or None when it can.

    PNG files are verified by their checksums, without decoding; the other formats have none, so
    they are decoded (JPEG at an eighth of its size), which finds truncation.
    """
    try:
        with _open_checked(data, max_megapixels) as image:
            if image.format == "PNG":
                image.verify()
            else:
                image.draft("RGB", (1, 1))
                image.load()
    except ImageError as error:
        return str(error)
    except Exception as error:  # damaged files make decoders raise whatever they run into
        return f"cannot be decoded ({error})"
    return None


def image_size(
    path: Path, *, max_megapixels: float = MAX_MEGAPIXELS
) -> tuple[int, int]:
    """Width and height in px from the header, upright. Raises ImageError as `open_image` does."""
    try:
        with _open_checked(read_image(path), max_megapixels) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return (image.height, image.width) if turned else image.size
    except ImageError as error:
        raise ImageError(f"{_where(path, '')}: {error}") from error


def read_image(path: Path, problem_id: str = "") -> bytes:
    """The encoded file. Raises ImageError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{_where(path, problem_id)}: cannot be read ({error.strerror})"
        ) from error


def _where(path: Path, problem_id: str) -> str:
    return f"image {path}" + (f" of problem {problem_id!r}" if problem_id else "")


def _open_checked(data: bytes, max_megapixels: float) -> Image.Image:
    """The undecoded image, once its header's size passed the limits."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"too large: the limit is {max_megapixels:g} megapixels") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not an image ({len(data)} bytes, none of {', '.join(FORMATS)})"
        ) from error
    size = f"{image.width}x{image.height} px"
    short, long = sorted(image.size)
    if short < MIN_SIDE_PX:
        raise ImageError(f"{size} is too small: each side needs {MIN_SIDE_PX} px")
    if short * long > max_megapixels * 1e6:
        raise ImageError(f"{size} is too large: the limit is {max_megapixels:g} megapixels")
    if long > MAX_ASPECT * short:
        raise ImageError(f"{size} is too narrow: the limit is {MAX_ASPECT}:1")
    if image.mode in ("F", "LAB"):
        raise ImageError(f"pixels of mode {image.mode} have no agreed white; convert it to RGB")
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; a plain convert() would clip, not scale
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image.convert("RGB")


def _shrink(image: Image.Image, max_side: int | None) -> Image.Image:
    if max_side is None or max(image.size) <= max_side:
        return image
    if max_side < MIN_SIDE_PX:
        raise ValueError(f"max_side must be at least {MIN_SIDE_PX} px, not {max_side}")
    scale = max_side / max(image.size)
    width, height = (max(MIN_SIDE_PX, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)
