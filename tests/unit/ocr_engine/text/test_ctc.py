"""CTC decoding, on probabilities written by hand or drawn at random."""

import itertools
import math

import numpy as np
import pytest

from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.ctc import best_path, greedy_decode, log_likelihood, text_of

CHARACTERS = "\0AB1"


def table(*steps: tuple[float, ...]) -> Floats:
    """Probabilities of each character at each step, scaled to a sum of 1."""
    array = np.array(steps, np.float32)
    scaled: Floats = array / array.sum(axis=1, keepdims=True)
    return scaled


def random_table(seed: int, steps: int, power: int = 1) -> Floats:
    return table(*(tuple(step) for step in np.random.default_rng(seed).random((steps, 4)) ** power))


def collapsed(path: tuple[int, ...]) -> list[int]:
    """The characters that a path reads: repeats merged, blanks dropped."""
    return [column for column, _ in itertools.groupby(path) if column]


def test_repeats_merge_unless_a_blank_separates_them() -> None:
    a, blank = (0.1, 0.8, 0.05, 0.05), (0.9, 0.05, 0.03, 0.02)
    assert text_of(greedy_decode(table(a, a), CHARACTERS)) == "A"
    assert text_of(greedy_decode(table(a, blank, a), CHARACTERS)) == "AA"
    glyph = greedy_decode(table(blank, a, a), CHARACTERS)[0]
    assert (glyph.first, glyph.last) == (1, 2)


def test_no_steps_decode_to_no_text() -> None:
    assert greedy_decode(np.zeros((0, 4), np.float32), CHARACTERS) == []


def test_fewer_steps_than_characters_have_no_path() -> None:
    assert best_path(np.full((3, 4), 0.25, np.float32), [1, 2], 5) is None


@pytest.mark.parametrize("columns", [[], [1], [1, 1], [1, 2], [2, 3, 2]])
def test_the_likelihood_is_the_sum_over_all_paths(columns: list[int]) -> None:
    probabilities = random_table(1, 5)
    total = sum(
        math.prod(float(probabilities[i, p]) for i, p in enumerate(path))
        for path in itertools.product(range(4), repeat=5)
        if collapsed(path) == columns
    )
    assert log_likelihood(probabilities, columns) == pytest.approx(math.log(total), rel=1e-4)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_constrained_path_is_the_likeliest_of_its_length(seed: int, count: int) -> None:
    probabilities = random_table(seed, 6, power=3)
    likeliest = max(
        (path for path in itertools.product((0, 1, 2), repeat=6) if len(collapsed(path)) == count),
        key=lambda path: math.prod(float(probabilities[i, p]) for i, p in enumerate(path)),
    )
    found = best_path(probabilities, [1, 2], count)
    assert found is not None
    symbols, likelihood = found
    assert [symbol.column for symbol in symbols] == collapsed(likeliest)
    assert all(0 <= symbol.probability <= 1 and symbol.first <= symbol.last for symbol in symbols)
    assert likelihood <= 0
