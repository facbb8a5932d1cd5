"""The frame of an e-KTP: where its print stands, and how a photo maps to it.

Positions are in card units: the card is 500 wide and 315 high, and its top left corner is (0, 0). They were measured
on a scan of a printed card. Rows below a value of several rows stand lower by one pitch for each extra row.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.image.picture import Points

WIDTH = 500.0
HEIGHT = 315.0
CORNERS: Points = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float64)
"""4 × 2: top left, top right, bottom right, bottom left."""
PITCH = 14.9
"""From one row of values to the next."""
VALUES_LEFT = 120.0
"""Left end of the values."""
PORTRAIT_LEFT = 355.0
"""Left end of the portrait, and of the place and date of issue below it."""
NIK_LEFT, NIK_RIGHT = 108.0, 334.0
"""Left and right end of the 16 digits of the NIK."""


class Position(msgspec.Struct, frozen=True):
    """Where a piece of print stands, in card units: its left and right end, and the middle of its height."""

    left: float
    right: float
    y: float


LABEL_POSITIONS: dict[str, Position] = {
    "nik": Position(13.0, 47.0, 68.5),
    "nama": Position(13.0, 46.0, 95.5),
    "lahir": Position(13.0, 105.0, 110.4),
    "jenis_kelamin": Position(13.0, 88.0, 125.3),
    "gol_darah": Position(251.0, 308.0, 125.0),
    "alamat": Position(13.0, 51.0, 140.2),
    "rt_rw": Position(39.0, 79.0, 154.8),
    "kel_desa": Position(39.0, 89.0, 169.6),
    "kecamatan": Position(39.0, 102.0, 184.3),
    "agama": Position(13.0, 52.0, 199.4),
    "status_perkawinan": Position(13.0, 114.0, 214.2),
    "pekerjaan": Position(13.0, 68.0, 229.1),
    "kewarganegaraan": Position(13.0, 116.0, 244.0),
    "berlaku_hingga": Position(13.0, 97.0, 259.0),
}
"""The labels, which are printed alike on every card."""
VALUE_SUFFIX = " value"
"""What the name of a label ends in where its value stands for it."""
PRINT_POSITIONS: dict[str, Position] = {
    "nik digits": Position(NIK_LEFT, NIK_RIGHT, 68.5),
    "provinsi middle": Position(258.0, 258.0, 22.5),
    "kabupaten_kota middle": Position(258.0, 258.0, 41.2),
} | {
    f"{name}{VALUE_SUFFIX}": Position(VALUES_LEFT, VALUES_LEFT, position.y)
    for name, position in LABEL_POSITIONS.items()
    if name not in ("nik", "gol_darah")
}
"""Other print with a known position, less exact than the labels.

Where both ends are equal only that point is known: the left end of a value, the middle of a title row.
"""
LABEL_ORDER: tuple[str, ...] = tuple(name for name in LABEL_POSITIONS if name != "gol_darah")
"""The labels at the left edge, from top to bottom."""


class Fiducial(msgspec.Struct, frozen=True):
    """Print of known position on the card, as seen in a photo: a label, a title row, the NIK's digits or a value.

    `left` and `right` are the middles of its two ends, in photo pixels. `weight` is how much it counts in a fit.
    """

    name: str
    left: tuple[float, float]
    right: tuple[float, float]
    weight: float = 1.0

    @property
    def label(self) -> str:
        """The label on whose row it stands; its own name if it stands above all labels."""
        return self.name.removesuffix(VALUE_SUFFIX)

    @property
    def position(self) -> Position:
        return LABEL_POSITIONS.get(self.name) or PRINT_POSITIONS[self.name]

    @property
    def has_two_ends(self) -> bool:
        """Whether the positions of both ends are known."""
        return self.position.right > self.position.left


class Frame(msgspec.Struct, frozen=True):
    """How a photo maps to the card.

    `homography` takes photo pixels to card units (3 × 3). `extra_rows` says for each label how many extra rows were
    found above it. `error` is the root mean square distance of the fiducials from their positions, in card units.
    `fitted` is how many fiducials hold the fit.
    """

    homography: NDArray[np.float64]
    extra_rows: dict[str, int]
    error: float
    fitted: int

    def to_card(self, points: Points) -> Points:
        """n × 2 photo pixels to card units."""
        return project(self.homography, points)

    def to_photo(self, points: Points) -> Points:
        """n × 2 card units to photo pixels."""
        return project(np.linalg.inv(self.homography).astype(np.float64), points)

    def row_y(self, name: str) -> float:
        """The height at which the row of a label stands, in card units."""
        return LABEL_POSITIONS[name].y + PITCH * self.extra_rows.get(name, 0)


def project(homography: NDArray[np.float64], points: Points) -> Points:
    """Map n × 2 points by a homography (3 × 3), or by each of m of them (m × 3 × 3, giving m × n × 2)."""
    flat = points @ homography[..., :2].swapaxes(-1, -2) + homography[..., None, :, 2]
    depth = np.where(np.abs(flat[..., 2:]) < 1e-9, 1e-9, flat[..., 2:])
    out: Points = flat[..., :2] / depth
    return out
