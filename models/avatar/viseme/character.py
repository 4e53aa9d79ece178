"""What makes a drawn host: its colours, its proportions, its hair and clothes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A host's colours, `#rrggbb`."""

    skin: str
    skin_light: str
    skin_shade: str
    skin_deep: str
    blush: str
    hair: str
    hair_light: str
    hair_shine: str
    brow: str
    lip: str
    lip_light: str
    lip_line: str
    iris: str
    iris_light: str
    top: str
    top_shade: str
    top_light: str
    under: str
    accent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """Proportions of a face, in units of the 512-unit square; the face's middle is x = 256.

    `half` is the right half of the outline, from crown to chin, as (distance from the middle, y).
    """

    half: tuple[tuple[float, float], ...]
    eye_dx: float = 34.0
    eye_y: float = 205.0
    eye_half_width: float = 17.5
    eye_height: float = 11.5
    lash: float = 1.0
    brow_y: float = 178.0
    brow_width: float = 6.6
    brow_arch: float = 1.0
    nose_width: float = 1.0
    mouth_y: float = 272.0
    mouth_half_width: float = 27.0
    upper_lip: float = 6.6
    lower_lip: float = 8.6

    @property
    def chin_y(self) -> float:
        """Where the face ends."""
        return self.half[-1][1]


Hair = Literal["bob", "quiff", "topknot", "bald", "curls"]
Beard = Literal["none", "boxed", "full"]
Garment = Literal["crew", "hoodie", "blazer", "rollneck", "overshirt"]
Register = Literal["low", "middle", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One drawn presenter. `register` names the kind of voice that suits: low, middle or high."""

    name: str
    description: str
    register: Register
    palette: Palette
    face: Face
    hair: Hair
    garment: Garment
    beard: Beard = "none"
    glasses: Literal["none", "round", "square"] = "none"
    headphones: bool = False
    earrings: bool = False
    neck_half_width: float = 34.0
    shoulder_half_width: float = 192.0
    shoulder_drop: float = 0.0
