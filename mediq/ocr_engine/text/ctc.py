"""Turning the reading network's steps into characters, freely or under constraints.

The network gives a probability of each character or of nothing (the blank) for every step along a row; a
text is read by any path that gives it once repeats are merged and blanks dropped (Graves et al.,
"Connectionist Temporal Classification", 2006).
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.alphabet import BLANK

_FLOOR = 1e-6
"""No character is impossible: the network is surer of itself than it should be."""


class Glyph(msgspec.Struct, frozen=True):
    """One character read: what, how likely, and over which steps (first, last) of its row.

    `shares` of a digit say how likely it is each of 0 to 9, given that it is a digit.
    """

    char: str
    probability: float
    first: int
    last: int
    shares: tuple[float, ...] = ()


def greedy(steps: Floats, characters: str) -> list[Glyph]:
    """The likeliest character of each step, repeats merged. `steps`: steps × `len(characters)`."""
    glyphs: list[Glyph] = []
    if not steps.size:
        return glyphs
    best = steps.argmax(axis=1)
    top = steps.max(axis=1)
    start = 0
    for stop in range(1, len(best) + 1):
        if stop < len(best) and best[stop] == best[start]:
            continue
        if best[start] != BLANK:
            run = top[start:stop]
            glyphs.append(Glyph(characters[int(best[start])], float(run.max()), start, stop - 1))
        start = stop
    return glyphs


def digit_shares(steps: Floats, first: int, last: int, index: dict[str, int]) -> tuple[float, ...]:
    """How likely what stands over steps `first` to `last` is each of the ten digits."""
    seen = steps[first : last + 1, [index[d] for d in "0123456789"]].max(axis=0) + 1e-5
    return tuple(float(v) for v in seen / seen.sum())


def text_of(glyphs: list[Glyph]) -> str:
    return "".join(glyph.char for glyph in glyphs)


def log_likelihood(steps: Floats, labels: list[int]) -> float:
    """The natural logarithm of the probability that `steps` read exactly `labels`, over all paths."""
    if len(labels) > len(steps):
        return -math.inf
    if not labels:
        return float(np.log(np.maximum(steps[:, BLANK], _FLOOR)).sum())
    extended = np.full(2 * len(labels) + 1, BLANK)
    extended[1::2] = labels
    emit = np.maximum(steps, _FLOOR).astype(np.float64)[:, extended]
    # A blank between two characters may be skipped unless they are the same.
    skip = np.zeros(len(extended))
    skip[3::2] = extended[3::2] != extended[1:-2:2]
    alpha = np.zeros(len(extended) + 2)
    now = alpha[2:]
    now[:2] = emit[0, :2]
    total = 0.0
    for step in range(1, len(emit)):
        now[:] = (now + alpha[1:-1] + alpha[:-2] * skip) * emit[step]
        # Kept within the range of floats by taking out the sum at each step.
        scale = now.sum()
        now /= scale
        total += math.log(scale)
    return total + math.log(max(1e-300, now[-1] + now[-2]))


def whole(steps: Floats, glyphs: list[Glyph], index: dict[str, int]) -> float:
    """The natural logarithm of the probability that the steps which the glyphs cover read them and nothing
    else.

    Unlike the glyphs' own probabilities it falls when a letter may have been missed between two others.
    """
    if not glyphs:
        return 0.0
    part = steps[max(0, glyphs[0].first - 1) : glyphs[-1].last + 2]
    return log_likelihood(part, [index[glyph.char] for glyph in glyphs])


def exactly(steps: Floats, allowed: list[int], count: int) -> tuple[list[tuple[int, float, int, int]], float] | None:
    """The likeliest path that reads exactly `count` characters, all among `allowed`.

    Gives for each character which it is, its probability against the other allowed ones, and its first and
    last step; and the natural logarithm of the probability of them all. None if there are too few steps.
    """
    if len(steps) < count:
        return None
    symbols = [BLANK, *allowed]
    chosen = steps[:, symbols]
    logs = np.log(np.maximum(chosen, _FLOOR)).astype(np.float64)
    width = len(symbols)
    best = np.full((count + 1, width), -math.inf)
    best[0, 0] = logs[0, 0]
    best[1, 1:] = logs[0, 1:]
    came = np.zeros((len(steps), count + 1, width), np.int32)
    came[0] = -1
    counts, characters = np.arange(count + 1), np.arange(1, width)
    states = counts[:, None] * width + np.arange(width)
    for step in range(1, len(steps)):
        # Staying on the same symbol, or resting on the blank after any.
        new, origin = best.copy(), states.copy()
        rest = best.argmax(axis=1)
        new[:, 0] = best[counts, rest]
        origin[:, 0] = states[counts, rest]
        # One character more, from any other symbol.
        order = np.argsort(best[:-1], axis=1)
        first, second = order[:, -1:], order[:, -2:-1]
        source = np.where(first == characters, second, first)
        score = np.take_along_axis(best[:-1], source, axis=1)
        better = score > new[1:, 1:]
        new[1:, 1:] = np.where(better, score, new[1:, 1:])
        origin[1:, 1:] = np.where(better, counts[:-1, None] * width + source, origin[1:, 1:])
        best = new + logs[step]
        came[step] = origin
    if not np.isfinite(best[count]).any():
        return None
    state = count * width + int(best[count].argmax())
    path: list[tuple[int, int]] = []
    for step in range(len(steps) - 1, -1, -1):
        path.append((state // width, state % width))
        state = int(came[step, state // width, state % width])
    path.reverse()
    spelled = _spell(path, chosen, symbols)
    return spelled, log_likelihood(steps, [label for label, *_ in spelled])


def _spell(
    path: list[tuple[int, int]], chosen: NDArray[np.float32], symbols: list[int]
) -> list[tuple[int, float, int, int]]:
    """Per character of a path: which, how sure, and its first and last step."""
    out: list[tuple[int, float, int, int]] = []
    for step, (count, symbol) in enumerate(path):
        if symbol == 0:
            continue
        share = float(chosen[step, symbol] / max(_FLOOR, chosen[step, 1:].sum()) * min(1.0, chosen[step].sum() + 0.02))
        if count > len(out):
            out.append((symbols[symbol], share, step, step))
        else:
            label, before, first, _ = out[-1]
            out[-1] = (label, max(before, share), first, step)
    return out
