"""Fitting the frame of a card to the fiducials seen in a photo.

Long values push the rows below them down, so the fit also decides which values run over several rows. An affine map
is fitted for each possible arrangement of extra rows. The best few are refined to homographies.
"""

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.card.frame import LABEL_ORDER, PITCH, Fiducial, Frame, project
from mediq.ocr_engine.image.picture import Points
from mediq.ocr_engine.text.detect import TextBox

_MOST_EXTRA_ROWS = {"nama": 1, "lahir": 1, "alamat": 3, "pekerjaan": 1}
"""The values that run over several rows, and how many extra rows each may have."""
_MOST_EXTRA_ROWS_TOGETHER = 4
_EXTRA_ROW_COST = 0.25
"""Card units of error that an extra row must save."""
_REFINED = 3
"""Arrangements of extra rows that are refined to homographies."""
_DOUBTED = 0.4
"""A weight below this is raised to it once, after the first refinement."""
_HELD = 0.3
"""A fiducial with a greater weight holds the fit."""
_SCALE, _FARTHEST = 6.0, 40.0
"""Card units: the distance at which a fiducial keeps half its weight, and the greatest that counts."""
_STEPS = 25
"""Most Gauss-Newton steps of a refinement."""
_DIFFERENCES = 1e-3 * np.array([1, 1, 1, 1, 1, 1, 1e-2, 1e-2])
"""Steps of the numerical derivative by the first eight entries of a homography; the ninth is 1."""


def fit_frame(fiducials: list[Fiducial], boxes: list[TextBox]) -> Frame | None:
    """Fit the frame of one card to its fiducials, and to the direction of every row of print.

    None with fewer than three different fiducials, or if no fit holds.
    """
    if len({fiducial.name for fiducial in fiducials}) < 3:
        return None
    fiducials = _one_each(fiducials)
    to_unit = _normalisation(fiducials)
    candidates = []
    for extra_rows, affine, error, weights in zip(_arrangements(), *_affine_fits(fiducials, to_unit), strict=True):
        if np.linalg.det(affine[:2, :2]) > 0:
            candidates.append((error + _arrangement_cost(extra_rows), affine, extra_rows, weights))
    # Perspective also moves rows together or apart, so only the refined fits tell which rows are extra ones.
    frames: list[tuple[float, Frame]] = []
    for _, affine, extra_rows, weights in sorted(candidates, key=lambda candidate: candidate[0])[:_REFINED]:
        homography, error = _refined(affine, fiducials, extra_rows, weights, boxes, to_unit)
        if (weights < _DOUBTED).sum() >= 2:
            # These fiducials may have missed their positions only because an affine map has no perspective.
            raised = np.maximum(weights, _DOUBTED)
            homography, error = _refined(homography, fiducials, extra_rows, raised, boxes, to_unit)
        if np.linalg.det(homography[:2, :2]) > 0:
            frame = Frame(homography @ to_unit, extra_rows, error, int((weights > _HELD).sum()))
            lost = len(fiducials) - frame.fitted
            frames.append((error + lost + _arrangement_cost(extra_rows), frame))
    return min(frames, key=lambda candidate: candidate[0])[1] if frames else None


def _one_each(fiducials: list[Fiducial]) -> list[Fiducial]:
    """Of each name the fiducial with the greatest weight."""
    best: dict[str, Fiducial] = {}
    for fiducial in fiducials:
        if fiducial.name not in best or fiducial.weight > best[fiducial.name].weight:
            best[fiducial.name] = fiducial
    return list(best.values())


def _normalisation(fiducials: list[Fiducial]) -> NDArray[np.float64]:
    """The 3 × 3 map that moves the fiducials around 0 with a reach of 1, which keeps the fit well-conditioned."""
    points = np.array([f.left for f in fiducials] + [f.right for f in fiducials])
    centre = points.mean(axis=0)
    reach = float(np.abs(points - centre).max()) or 1.0
    return np.array([[1 / reach, 0, -centre[0] / reach], [0, 1 / reach, -centre[1] / reach], [0, 0, 1]])


@cache
def _arrangements() -> tuple[dict[str, int], ...]:
    """Every arrangement of extra rows: for each label, how many extra rows stand above it."""
    names = list(_MOST_EXTRA_ROWS)
    out = []
    for counts in itertools.product(*(range(_MOST_EXTRA_ROWS[name] + 1) for name in names)):
        if sum(counts) > _MOST_EXTRA_ROWS_TOGETHER:
            continue
        after = dict(zip(names, counts, strict=True))
        total = 0
        above = {}
        for name in LABEL_ORDER:
            above[name] = total
            total += after.get(name, 0)
        above["gol_darah"] = above["jenis_kelamin"]
        out.append(above)
    return tuple(out)


def _arrangement_cost(extra_rows: dict[str, int]) -> float:
    return _EXTRA_ROW_COST * max(extra_rows.values(), default=0)


def _targets(fiducials: list[Fiducial], extra_rows: dict[str, int]) -> tuple[Points, Points]:
    """The positions of the left and of the right ends, in card units."""
    ys = [f.position.y + PITCH * extra_rows.get(f.label, 0) for f in fiducials]
    left = np.array([(f.position.left, y) for f, y in zip(fiducials, ys, strict=True)])
    right = np.array([(f.position.right, y) for f, y in zip(fiducials, ys, strict=True)])
    return left, right


def _affine_fits(
    fiducials: list[Fiducial], to_unit: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """For each arrangement of extra rows: the map (3 × 3), its error, and the share of weight each fiducial keeps.

    All arrangements are fitted at once, by least squares repeated with smaller weights for what does not fit.
    """
    arrangements = _arrangements()
    targets = np.array([np.vstack(_targets(fiducials, extra_rows)) for extra_rows in arrangements])
    source = project(to_unit, np.array([f.left for f in fiducials] + [f.right for f in fiducials]))
    full = np.column_stack((source, np.ones(len(source))))
    trust = np.array([f.weight for f in fiducials])
    wide = np.array([f.has_two_ends for f in fiducials])
    weights = np.tile(trust, (len(arrangements), 1))
    equations = np.zeros((len(arrangements), 2 * len(full) + 2, 6))
    # A weak pull towards a map without shear settles what few labels leave open.
    equations[:, -2:, [0, 1, 3, 4]] = np.array([[1.0, 0, 0, -1.0], [0, 1.0, 1.0, 0]]) * 0.02
    wanted = np.zeros(equations.shape[:2])
    for _ in range(4):
        both = np.sqrt(np.hstack((weights, 0.4 * weights * wide)))[..., None]
        equations[:, : len(full), :3] = equations[:, len(full) : -2, 3:] = full * both
        wanted[:, :-2] = (targets * both).swapaxes(1, 2).reshape(len(arrangements), -1)
        maps = (np.linalg.pinv(equations) @ wanted[..., None]).reshape(-1, 2, 3)
        missed = np.minimum(np.hypot(*np.moveaxis(full @ maps.swapaxes(1, 2) - targets, -1, 0)), _FARTHEST)
        distances = missed[:, : len(fiducials)] + 0.3 * wide * missed[:, len(fiducials) :]
        weights = trust / (1 + (distances / _SCALE) ** 2)
    errors = np.sqrt((trust * np.minimum(distances, _FARTHEST) ** 2).sum(axis=1) / trust.sum())
    matrices = np.hstack((maps, np.tile([0.0, 0.0, 1.0], (len(arrangements), 1, 1))))
    return matrices, errors, weights / np.maximum(trust, 1e-9)


def _refined(
    start: NDArray[np.float64],
    fiducials: list[Fiducial],
    extra_rows: dict[str, int],
    weights: NDArray[np.float64],
    boxes: list[TextBox],
    to_unit: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """The homography (3 × 3) nearest to the fiducials and to level print, from a first map; and its error.

    The minimum is found by damped Gauss-Newton steps (Levenberg-Marquardt).
    """
    residuals = _Residuals(fiducials, extra_rows, weights, boxes, to_unit)
    flat = start.ravel()[:8].copy()
    now = residuals(flat[None])[0]
    damping = 1e-3
    for _ in range(_STEPS):
        slope = ((residuals(flat + np.diag(_DIFFERENCES)) - now) / _DIFFERENCES[:, None]).T
        normal = slope.T @ slope
        move = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), -slope.T @ now)
        tried = residuals((flat + move)[None])[0]
        if tried @ tried < now @ now:
            gain = now @ now - tried @ tried
            flat, now, damping = flat + move, tried, damping / 4
            if gain < 1e-4:
                break
        else:
            damping *= 8
            if damping > 1e6:
                break
    homography = np.append(flat, 1.0).reshape(3, 3)
    return homography, residuals.error(homography)


class _Residuals:
    """By how much a homography misses everything seen on a card."""

    def __init__(
        self,
        fiducials: list[Fiducial],
        extra_rows: dict[str, int],
        weights: NDArray[np.float64],
        boxes: list[TextBox],
        to_unit: NDArray[np.float64],
    ) -> None:
        self._weights = weights
        self._left, self._right = _targets(fiducials, extra_rows)
        self._trust = np.sqrt(weights * np.array([f.weight for f in fiducials]))
        self._wide = np.array([f.has_two_ends for f in fiducials])
        long = [box for box in boxes if box.length > 3 * box.height]
        self._reach = np.array([min(1.0, box.length / box.height / 12) for box in long])
        ends = [box.ends() for box in long]
        self._seen = project(to_unit, np.vstack([[f.left for f in fiducials], [f.right for f in fiducials], *ends]))
        self._count = len(fiducials)

    def __call__(self, maps: NDArray[np.float64]) -> NDArray[np.float64]:
        """Residuals of each of m homographies, given by the first eight of their nine entries: m × residuals."""
        count = self._count
        homographies = np.hstack((maps, np.ones((len(maps), 1)))).reshape(-1, 3, 3)
        at = project(homographies, self._seen)
        level = at[:, 2 * count :].reshape(len(maps), -1, 2, 2)
        rise = (level[:, :, 1, 1] - level[:, :, 0, 1]) * self._reach
        out = np.hstack(
            (
                ((at[:, :count] - self._left) * self._trust[:, None]).reshape(len(maps), -1),
                (at[:, count : 2 * count, 0] - self._right[:, 0]) * self._trust * self._wide * 0.4,
                # Perspective is small in a readable photo; without evidence there is none.
                maps[:, 6:] * 25.0,
                np.clip(rise, -12, 12) * 0.7,
            )
        )
        # A residual above 3 units counts by its size instead of its square (Huber loss).
        size = np.abs(out)
        return np.where(size > 3, np.sign(out) * np.sqrt(np.maximum(6 * size - 9, 0)), out)

    def error(self, homography: NDArray[np.float64]) -> float:
        """The weighted root mean square distance of the left ends from their positions, in card units."""
        missed = np.hypot(*(project(homography, self._seen[: self._count]) - self._left).T)
        return float(np.sqrt((self._weights * missed**2).sum() / max(1e-9, self._weights.sum())))
