"""Colour as the encoder sees it: ITU-R BT.709, limited range, 8 bit.

With R, G, B in 0..1 and E = 0.2126 R + 0.7152 G + 0.0722 B: Y = 16 + 219 E,
Cb = 128 + 224 (B - E) / 1.8556, Cr = 128 + 224 (R - E) / 1.5748 (BT.709-6, items 3.2 to 3.4). Every
conversion in the picture is done here, once per sprite or background and never per frame.
"""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

KR, KG, KB = 0.2126, 0.7152, 0.0722
"""Luma weights of BT.709."""


def rgb_of(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three integers 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def hex_of(rgb: tuple[float, float, float]) -> str:
    """Red, green and blue in 0..255 as `#rrggbb`, clipped."""
    return "#" + "".join(f"{min(255, max(0, round(value))):02x}" for value in rgb)


def shifted(
    colour: str, hue_deg: float = 0.0, saturation: float = 1.0, lightness: float = 1.0
) -> str:
    """`colour` with its hue turned and its HLS saturation and lightness scaled."""
    red, green, blue = (value / 255.0 for value in rgb_of(colour))
    hue, light, saturated = colorsys.rgb_to_hls(red, green, blue)
    turned = colorsys.hls_to_rgb(
        (hue + hue_deg / 360.0) % 1.0, min(1.0, light * lightness), min(1.0, saturated * saturation)
    )
    return hex_of((turned[0] * 255.0, turned[1] * 255.0, turned[2] * 255.0))


def mixed(first: str, second: str, share: float) -> str:
    """A colour between two, `share` of the way from `first` to `second`, in RGB."""
    pairs = zip(rgb_of(first), rgb_of(second), strict=True)
    red, green, blue = (a + (b - a) * share for a, b in pairs)
    return hex_of((red, green, blue))


def yuv_from_rgb(rgb: NDArray[np.float32] | Image) -> tuple[Plane, Plane, Plane]:
    """`(..., 3)` RGB in 0..255 as float Y, Cb, Cr planes of limited range, not rounded."""
    red, green, blue = (rgb[..., i].astype(np.float32) for i in range(3))
    luma = KR * red + KG * green + KB * blue
    y = 16.0 + luma * (219.0 / 255.0)
    u = 128.0 + (blue - luma) * (224.0 / 255.0 / (2.0 * (1.0 - KB)))
    v = 128.0 + (red - luma) * (224.0 / 255.0 / (2.0 * (1.0 - KR)))
    return y, u, v


def yuv_of(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as the nearest 8-bit Y, Cb, Cr."""
    y, u, v = yuv_from_rgb(np.array(rgb_of(colour), np.float32))
    return round(float(y)), round(float(u)), round(float(v))


def halved(plane: Plane) -> Plane:
    """The mean of each 2x2 block: MPEG-1 (centre) chroma siting in both directions."""
    return np.asarray(
        (plane[0::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 0::2] + plane[1::2, 1::2]) * 0.25,
        np.float32,
    )


def rounded(plane: Plane, noise: Plane | None = None) -> Image:
    """To 8 bit. `noise`, uniform in ±0.5, dithers the rounding: slow gradients then do not band."""
    levels = plane if noise is None else plane + noise
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)
