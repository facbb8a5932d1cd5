"""Reading characters out of the network's steps, with steps made by hand."""

import itertools
import math

import numpy as np
import pytest

from mediq.ocr_engine.text.ctc import exactly, greedy, log_likelihood, text_of

CHARACTERS = "\0AB1"


def steps(*rows: tuple[float, ...]) -> np.ndarray:
    array = np.array(rows, np.float32)
    return array / array.sum(axis=1, keepdims=True)


def collapse(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label]


def test_repeats_merge_unless_a_blank_parts_them() -> None:
    a, blank = (0.1, 0.8, 0.05, 0.05), (0.9, 0.05, 0.03, 0.02)
    assert text_of(greedy(steps(a, a), CHARACTERS)) == "A"
    assert text_of(greedy(steps(a, blank, a), CHARACTERS)) == "AA"
    glyph = greedy(steps(blank, a, a), CHARACTERS)[0]
    assert (glyph.first, glyph.last) == (1, 2)


def test_nothing_reads_as_nothing() -> None:
    assert greedy(np.zeros((0, 4), np.float32), CHARACTERS) == []
    assert exactly(np.zeros((3, 4), np.float32) + 0.25, [1, 2], 5) is None


@pytest.mark.parametrize("labels", [[], [1], [1, 1], [1, 2], [2, 3, 2]])
def test_likelihood_sums_over_all_paths(labels: list[int]) -> None:
    table = steps(*np.random.default_rng(1).random((5, 4)))
    total = sum(
        math.prod(float(table[i, p]) for i, p in enumerate(path))
        for path in itertools.product(range(4), repeat=5)
        if collapse(path) == labels
    )
    assert log_likelihood(table, labels) == pytest.approx(math.log(total), rel=1e-4)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_exactly_finds_the_best_path_of_that_length(seed: int, count: int) -> None:
    table = steps(*np.random.default_rng(seed).random((6, 4)) ** 3)
    allowed = [1, 2]
    best = max(
        (path for path in itertools.product((0, 1, 2), repeat=6) if len(collapse(path)) == count),
        key=lambda path: math.prod(float(table[i, p]) for i, p in enumerate(path)),
    )
    found = exactly(table, allowed, count)
    assert found is not None
    spelled, total = found
    assert [label for label, *_ in spelled] == collapse(best)
    assert all(0 <= share <= 1 and first <= last for _, share, first, last in spelled)
    assert total <= 0
