"""CTC decoding: from the recognition network's probabilities to characters, freely or under constraints.

The network gives a probability of each character, or of none (the blank), for every step along a row. A text is
read by every path of steps that gives it after repeats are merged and blanks dropped (Graves et al.,
"Connectionist Temporal Classification", 2006).

Probabilities are arrays of steps × characters, columns as in :class:`Alphabet`.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.alphabet import BLANK

_FLOOR = 1e-6
"""The least probability of any character: the network is surer of itself than it should be."""


class Glyph(msgspec.Struct, frozen=True):
    """One character as decoded: its probability, and the first and last step that it covers in its row.

    `digit_probabilities` says of a digit how likely it is each of 0 to 9, given that it is a digit. It is empty for
    other characters.
    """

    char: str
    probability: float
    first: int
    last: int
    digit_probabilities: tuple[float, ...] = ()


class Symbol(msgspec.Struct, frozen=True):
    """One character of a constrained path: its column, its probability, its first and last step."""

    column: int
    probability: float
    first: int
    last: int


def greedy_decode(probabilities: Floats, characters: str) -> list[Glyph]:
    """Take the likeliest character of each step and merge repeats.

    `characters` are those of the columns, the blank first.
    """
    glyphs: list[Glyph] = []
    if not probabilities.size:
        return glyphs
    best = probabilities.argmax(axis=1)
    top = probabilities.max(axis=1)
    start = 0
    for stop in range(1, len(best) + 1):
        if stop < len(best) and best[stop] == best[start]:
            continue
        if best[start] != BLANK:
            run = top[start:stop]
            glyphs.append(Glyph(characters[int(best[start])], float(run.max()), start, stop - 1))
        start = stop
    return glyphs


def digit_probabilities(probabilities: Floats, first: int, last: int, index: dict[str, int]) -> tuple[float, ...]:
    """How likely steps `first` to `last` show each of the ten digits; the ten sum to 1."""
    seen = probabilities[first : last + 1, [index[d] for d in "0123456789"]].max(axis=0) + 1e-5
    return tuple(float(v) for v in seen / seen.sum())


def text_of(glyphs: list[Glyph]) -> str:
    """The characters of the glyphs as a string."""
    return "".join(glyph.char for glyph in glyphs)


def log_likelihood(probabilities: Floats, columns: list[int]) -> float:
    """The natural logarithm of the probability that the steps read exactly these characters, over all paths.

    This is the forward algorithm of CTC. It gives -inf where there are fewer steps than characters.
    """
    if len(columns) > len(probabilities):
        return -math.inf
    if not columns:
        return float(np.log(np.maximum(probabilities[:, BLANK], _FLOOR)).sum())
    extended = np.full(2 * len(columns) + 1, BLANK)
    extended[1::2] = columns
    emit = np.maximum(probabilities, _FLOOR).astype(np.float64)[:, extended]
    # A path may skip the blank between two characters unless they are the same.
    skip = np.zeros(len(extended))
    skip[3::2] = extended[3::2] != extended[1:-2:2]
    alpha = np.zeros(len(extended) + 2)
    now = alpha[2:]
    now[:2] = emit[0, :2]
    total = 0.0
    for step in range(1, len(emit)):
        now[:] = (now + alpha[1:-1] + alpha[:-2] * skip) * emit[step]
        # Dividing by the sum at each step keeps the numbers within the range of floats.
        scale = now.sum()
        now /= scale
        total += math.log(scale)
    return total + math.log(max(1e-300, now[-1] + now[-2]))


def glyphs_log_likelihood(probabilities: Floats, glyphs: list[Glyph], index: dict[str, int]) -> float:
    """The natural logarithm of the probability that the steps under the glyphs read them and nothing else.

    Unlike the probabilities of single glyphs, it falls when a letter may have been missed between two others.
    """
    if not glyphs:
        return 0.0
    covered = probabilities[max(0, glyphs[0].first - 1) : glyphs[-1].last + 2]
    return log_likelihood(covered, [index[glyph.char] for glyph in glyphs])


def best_path(probabilities: Floats, allowed: list[int], count: int) -> tuple[list[Symbol], float] | None:
    """The likeliest path that reads exactly `count` characters, all of them among the columns `allowed`.

    A symbol's probability is taken against the other allowed characters. The second value is the natural logarithm
    of the probability of the whole text. None if there are fewer steps than characters.

    This is a Viterbi search over states (characters read so far, character of this step).
    """
    if len(probabilities) < count:
        return None
    symbols = [BLANK, *allowed]
    chosen = probabilities[:, symbols]
    logs = np.log(np.maximum(chosen, _FLOOR)).astype(np.float64)
    width = len(symbols)
    best = np.full((count + 1, width), -math.inf)
    best[0, 0] = logs[0, 0]
    best[1, 1:] = logs[0, 1:]
    came_from = np.zeros((len(probabilities), count + 1, width), np.int32)
    came_from[0] = -1
    counts, characters = np.arange(count + 1), np.arange(1, width)
    states = counts[:, None] * width + np.arange(width)
    for step in range(1, len(probabilities)):
        # The path stays on its symbol, or goes to the blank.
        new, origin = best.copy(), states.copy()
        likeliest = best.argmax(axis=1)
        new[:, 0] = best[counts, likeliest]
        origin[:, 0] = states[counts, likeliest]
        # Or it reads one character more, coming from the best other symbol.
        order = np.argsort(best[:-1], axis=1)
        first, second = order[:, -1:], order[:, -2:-1]
        source = np.where(first == characters, second, first)
        score = np.take_along_axis(best[:-1], source, axis=1)
        better = score > new[1:, 1:]
        new[1:, 1:] = np.where(better, score, new[1:, 1:])
        origin[1:, 1:] = np.where(better, counts[:-1, None] * width + source, origin[1:, 1:])
        best = new + logs[step]
        came_from[step] = origin
    if not np.isfinite(best[count]).any():
        return None
    state = count * width + int(best[count].argmax())
    path: list[tuple[int, int]] = []
    for step in range(len(probabilities) - 1, -1, -1):
        path.append((state // width, state % width))
        state = int(came_from[step, state // width, state % width])
    path.reverse()
    spelled = _symbols_of(path, chosen, symbols)
    return spelled, log_likelihood(probabilities, [symbol.column for symbol in spelled])


def _symbols_of(path: list[tuple[int, int]], chosen: NDArray[np.float32], symbols: list[int]) -> list[Symbol]:
    """The characters along a path of (characters read so far, position in `symbols`), one pair a step."""
    out: list[Symbol] = []
    for step, (count, symbol) in enumerate(path):
        if symbol == 0:
            continue
        against_others = chosen[step, symbol] / max(_FLOOR, chosen[step, 1:].sum())
        probability = float(against_others * min(1.0, chosen[step].sum() + 0.02))
        if count > len(out):
            out.append(Symbol(symbols[symbol], probability, step, step))
        else:
            before = out[-1]
            out[-1] = Symbol(before.column, max(before.probability, probability), before.first, step)
    return out
