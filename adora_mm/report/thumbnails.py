"""Diagrams as small data URIs, so that the page needs no other file and no network."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

MAX_SIDE_PX = 440
MAX_PIXELS = 60_000_000
"""Larger pictures are refused: decoding them would cost gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A diagram for the page, or why there is none."""

    name: str
    """File name of the original."""
    data_uri: str
    """Empty when the picture could not be shown."""
    width_px: int
    height_px: int
    problem: str


def thumbnail(path: Path) -> Thumbnail:
    """Read, shrink and encode one picture; never raises because of the file."""
    try:
        if not path.is_file():
            return _failed(path, "file not found")
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                return _failed(path, f"too large ({image.width} x {image.height} pixels)")
            image.draft("RGB", (MAX_SIDE_PX, MAX_SIDE_PX))  # JPEG decodes at a fraction of its size
            small = _on_white(image)
    # Pillow reports broken files by any of these, depending on the format
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        return _failed(path, f"unreadable ({type(error).__name__})")
    return Thumbnail(
        name=path.name,
        data_uri=_encode(small),
        width_px=small.width,
        height_px=small.height,
        problem="",
    )


def _failed(path: Path, problem: str) -> Thumbnail:
    return Thumbnail(name=path.name, data_uri="", width_px=0, height_px=0, problem=problem)


def _on_white(image: Image.Image) -> Image.Image:
    """Shrunk to `MAX_SIDE_PX`, transparent parts white: diagrams are drawn in dark ink."""
    rgba = image.convert("RGBA")
    rgba.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.LANCZOS)
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def _encode(image: Image.Image) -> str:
    """The smaller of a 64-colour PNG (line drawings) and a JPEG (photographs)."""
    png, jpeg = BytesIO(), BytesIO()
    image.quantize(64).save(png, format="PNG", optimize=True)
    image.save(jpeg, format="JPEG", quality=80)
    kind, data = min(
        (("png", png.getvalue()), ("jpeg", jpeg.getvalue())), key=lambda pair: len(pair[1])
    )
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
