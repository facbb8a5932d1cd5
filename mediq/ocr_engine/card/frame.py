"""The fixed frame of a card, and fitting a photo to it by the labels printed on every card.

Places are in card units: the card is 500 wide and 315 high, its top left corner is 0, 0. They were measured
on a scan of a printed card; rows below a field that runs to a second row stand lower by one pitch.
"""

import itertools

import msgspec
import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.image.picture import Points
from mediq.ocr_engine.text.detect import Line

WIDTH = 500.0
HEIGHT = 315.0
PITCH = 14.9
"""From one row of values to the next."""
VALUES_LEFT = 120.0
"""Where values begin."""
PHOTO_LEFT = 355.0
"""Where the photo, and below it the place and date of issue, begin."""
NIK_LEFT, NIK_RIGHT = 108.0, 334.0
"""Where the 16 digits of the NIK begin and end."""
ROW_TEXT = 13.5
"""Height of a row as cut for reading, a little more than its letters."""


class Place(msgspec.Struct, frozen=True):
    """Where a label stands: its left and right end, and the middle of its height."""

    left: float
    right: float
    y: float


PLACES: dict[str, Place] = {
    "nik": Place(13.0, 47.0, 68.5),
    "nama": Place(13.0, 46.0, 95.5),
    "lahir": Place(13.0, 105.0, 110.4),
    "jenis_kelamin": Place(13.0, 88.0, 125.3),
    "gol_darah": Place(251.0, 308.0, 125.0),
    "alamat": Place(13.0, 51.0, 140.2),
    "rt_rw": Place(39.0, 79.0, 154.8),
    "kel_desa": Place(39.0, 89.0, 169.6),
    "kecamatan": Place(39.0, 102.0, 184.3),
    "agama": Place(13.0, 52.0, 199.4),
    "status_perkawinan": Place(13.0, 114.0, 214.2),
    "pekerjaan": Place(13.0, 68.0, 229.1),
    "kewarganegaraan": Place(13.0, 116.0, 244.0),
    "berlaku_hingga": Place(13.0, 97.0, 259.0),
}
VALUE = " value"
"""What the name of a label ends in where its value stands for it."""
ANCHORS: dict[str, Place] = {
    "nik digits": Place(NIK_LEFT, NIK_RIGHT, 68.5),
    "provinsi middle": Place(258.0, 258.0, 22.5),
    "kabupaten_kota middle": Place(258.0, 258.0, 41.2),
} | {
    f"{name}{VALUE}": Place(VALUES_LEFT, VALUES_LEFT, place.y)
    for name, place in PLACES.items()
    if name not in ("nik", "gol_darah")
}
"""What else tells where the card lies, less exactly, where its labels cannot be read. Where both ends are one, only
that point is known: the left end of a value, the middle of a line of the title."""
ORDER: tuple[str, ...] = tuple(name for name in PLACES if name != "gol_darah")
"""The labels at the left edge, from top to bottom."""

_SECOND_ROWS = {"nama": 1, "lahir": 1, "alamat": 3, "pekerjaan": 1}
"""After which labels further rows occur, and how many at most."""


_SHIFTED = 0.25
"""Card units of error that a second row more must save."""
_DOUBTED = 0.4
"""The least that a label weighs until perspective is fitted."""
_CONTENDERS = 3
"""Ways of second rows that are tried to the end."""


class Mark(msgspec.Struct, frozen=True):
    """A label or an anchor seen in the photo: its name and the middle of its left and of its right end, in photo
    pixels."""

    name: str
    left: tuple[float, float]
    right: tuple[float, float]
    weight: float = 1.0

    @property
    def row(self) -> str:
        """The label on whose row it stands, or its own name if it is above all of them."""
        return self.name.removesuffix(VALUE)

    @property
    def place(self) -> Place:
        return PLACES.get(self.name) or ANCHORS[self.name]

    @property
    def wide(self) -> bool:
        """Whether its place has two ends."""
        return self.place.right > self.place.left


class Frame(msgspec.Struct, frozen=True):
    """How a photo maps to the card: `matrix` takes photo pixels to card units (3 × 3, projective).

    `shifts` says for each label how many extra rows were found above it; `error` is the root mean square
    distance of the labels from their places, in card units; `marks` is how many labels hold the fit.
    """

    matrix: NDArray[np.float64]
    shifts: dict[str, int]
    error: float
    marks: int

    def to_card(self, points: Points) -> Points:
        """n × 2 photo pixels to card units."""
        return _project(self.matrix, points)

    def to_photo(self, points: Points) -> Points:
        """n × 2 card units to photo pixels."""
        return _project(np.linalg.inv(self.matrix).astype(np.float64), points)

    def row_y(self, name: str) -> float:
        """Where the row of a label stands, in card units."""
        return PLACES[name].y + PITCH * self.shifts.get(name, 0)


def _project(matrix: NDArray[np.float64], points: Points) -> Points:
    """The points as a 3 × 3 matrix maps them, or as each of several does: maps × points × 2."""
    flat = points @ matrix[..., :2].swapaxes(-1, -2) + matrix[..., None, :, 2]
    depth = np.where(np.abs(flat[..., 2:]) < 1e-9, 1e-9, flat[..., 2:])
    out: Points = flat[..., :2] / depth
    return out


def fit_frame(marks: list[Mark], lines: list[Line]) -> Frame | None:
    """Fit the card to the labels seen, and to the direction of every line of text; None with too little to
    hold it.

    First an affine map for each way in which second rows can have pushed labels down, then a projective one
    by Gauss-Newton steps, in which labels that do not fit weigh less and less.
    """
    names = {mark.name for mark in marks}
    if len(names) < 3:
        return None
    marks = _one_each(marks)
    points = np.array([mark.left for mark in marks] + [mark.right for mark in marks])
    centre = points.mean(axis=0)
    spread = float(np.abs(points - centre).max()) or 1.0
    norm = np.array([[1 / spread, 0, -centre[0] / spread], [0, 1 / spread, -centre[1] / spread], [0, 0, 1]])
    shiftings = _shiftings()
    tried = []
    for shifts, affine, error, weights in zip(shiftings, *_affine(marks, shiftings, norm), strict=True):
        if np.linalg.det(affine[:2, :2]) > 0:
            tried.append((error + _SHIFTED * max(shifts.values(), default=0), affine, shifts, weights))
    # Perspective also brings rows together or apart: which rows are second ones shows only once it is fitted.
    frames: list[tuple[float, Frame]] = []
    for _, affine, shifts, weights in sorted(tried, key=lambda one: one[0])[:_CONTENDERS]:
        matrix, error = _projective(affine, marks, shifts, weights, lines, norm)
        if (weights < _DOUBTED).sum() >= 2:
            # What missed its place on the affine map may have done so for its want of perspective.
            matrix, error = _projective(matrix, marks, shifts, np.maximum(weights, _DOUBTED), lines, norm)
        if np.linalg.det(matrix[:2, :2]) > 0:
            frame = Frame(matrix @ norm, shifts, error, int((weights > 0.3).sum()))
            lost = len(marks) - frame.marks
            frames.append((error + lost + _SHIFTED * max(shifts.values(), default=0), frame))
    return min(frames, key=lambda one: one[0])[1] if frames else None


def _one_each(marks: list[Mark]) -> list[Mark]:
    best: dict[str, Mark] = {}
    for mark in marks:
        if mark.name not in best or mark.weight > best[mark.name].weight:
            best[mark.name] = mark
    return list(best.values())


def _shiftings() -> list[dict[str, int]]:
    names = list(_SECOND_ROWS)
    out = []
    for counts in itertools.product(*(range(_SECOND_ROWS[name] + 1) for name in names)):
        if sum(counts) > 4:
            continue
        extra = dict(zip(names, counts, strict=True))
        total = 0
        shifts = {}
        for name in ORDER:
            shifts[name] = total
            total += extra.get(name, 0)
        shifts["gol_darah"] = shifts["jenis_kelamin"]
        out.append(shifts)
    return out


def _targets(marks: list[Mark], shifts: dict[str, int]) -> tuple[Points, Points]:
    left = np.array([(m.place.left, m.place.y + PITCH * shifts.get(m.row, 0)) for m in marks])
    right = np.array([(m.place.right, m.place.y + PITCH * shifts.get(m.row, 0)) for m in marks])
    return left, right


def _affine(
    marks: list[Mark], shiftings: list[dict[str, int]], norm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each way of second rows the map (3 × 3), its error, and how much of its trust each mark keeps."""
    targets = np.array([np.vstack(_targets(marks, shifts)) for shifts in shiftings])
    source = _project(norm, np.array([m.left for m in marks] + [m.right for m in marks]))
    full = np.column_stack((source, np.ones(len(source))))
    trust = np.array([m.weight for m in marks])
    wide = np.array([m.wide for m in marks])
    weights = np.tile(trust, (len(shiftings), 1))
    rows = np.zeros((len(shiftings), 2 * len(full) + 2, 6))
    # A weak pull to a map without shear holds what few labels leave open.
    rows[:, -2:, [0, 1, 3, 4]] = np.array([[1.0, 0, 0, -1.0], [0, 1.0, 1.0, 0]]) * 0.02
    wanted = np.zeros(rows.shape[:2])
    for _ in range(4):
        both = np.sqrt(np.hstack((weights, 0.4 * weights * wide)))[..., None]
        rows[:, : len(full), :3] = rows[:, len(full) : -2, 3:] = full * both
        wanted[:, :-2] = (targets * both).swapaxes(1, 2).reshape(len(shiftings), -1)
        maps = (np.linalg.pinv(rows) @ wanted[..., None]).reshape(-1, 2, 3)
        missed = np.minimum(np.hypot(*np.moveaxis(full @ maps.swapaxes(1, 2) - targets, -1, 0)), 40)
        distances = missed[:, : len(marks)] + 0.3 * wide * missed[:, len(marks) :]
        weights = trust / (1 + (distances / 6) ** 2)
    errors = np.sqrt((trust * np.minimum(distances, 40) ** 2).sum(axis=1) / trust.sum())
    matrices = np.hstack((maps, np.tile([0.0, 0.0, 1.0], (len(shiftings), 1, 1))))
    return matrices, errors, weights / np.maximum(trust, 1e-9)


def _projective(
    start: NDArray[np.float64],
    marks: list[Mark],
    shifts: dict[str, int],
    weights: NDArray[np.float64],
    lines: list[Line],
    norm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    left, right = _targets(marks, shifts)
    trust = np.sqrt(weights * np.array([m.weight for m in marks]))
    wide = np.array([m.wide for m in marks])
    long = [line for line in lines if line.length > 3 * line.height]
    reach = np.array([min(1.0, line.length / line.height / 12) for line in long])
    ends = [line.ends() for line in long]
    seen = _project(norm, np.vstack([[m.left for m in marks], [m.right for m in marks], *ends]))
    count = len(marks)

    def misses(maps: NDArray[np.float64]) -> NDArray[np.float64]:
        """By how much each of several maps, given by the first eight of its nine numbers, misses everything seen."""
        matrices = np.hstack((maps, np.ones((len(maps), 1)))).reshape(-1, 3, 3)
        at = _project(matrices, seen)
        level = at[:, 2 * count :].reshape(len(maps), -1, 2, 2)
        rise = (level[:, :, 1, 1] - level[:, :, 0, 1]) * reach
        out = np.hstack(
            (
                ((at[:, :count] - left) * trust[:, None]).reshape(len(maps), -1),
                (at[:, count : 2 * count, 0] - right[:, 0]) * trust * wide * 0.4,
                # Perspective is small in a photo worth reading; without evidence there is none.
                maps[:, 6:] * 25.0,
                np.clip(rise, -12, 12) * 0.7,
            )
        )
        # Beyond three units a miss counts by its size, not its square.
        size = np.abs(out)
        return np.where(size > 3, np.sign(out) * np.sqrt(np.maximum(6 * size - 9, 0)), out)

    flat = start.ravel()[:8].copy()
    now = misses(flat[None])[0]
    damping = 1e-3
    steps = 1e-3 * np.array([1, 1, 1, 1, 1, 1, 1e-2, 1e-2])
    for _ in range(25):
        slope = ((misses(flat + np.diag(steps)) - now) / steps[:, None]).T
        normal = slope.T @ slope
        move = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), -slope.T @ now)
        tried = misses((flat + move)[None])[0]
        if tried @ tried < now @ now:
            gain = now @ now - tried @ tried
            flat, now, damping = flat + move, tried, damping / 4
            if gain < 1e-4:
                break
        else:
            damping *= 8
            if damping > 1e6:
                break
    matrix = np.append(flat, 1.0).reshape(3, 3)
    missed = np.hypot(*(_project(matrix, seen[:count]) - left).T)
    error = float(np.sqrt((weights * missed**2).sum() / max(1e-9, weights.sum())))
    return matrix, error
