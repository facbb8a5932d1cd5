"""The spaces between words: put where the picture shows a gap in the ink, taken out where it shows none."""

from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.correct_words import split_points
from mediq.ocr_engine.text.ctc import Glyph, text_of
from mediq.ocr_engine.text.networks import STEP

_WORD_GAP = 11.0
"""Columns without ink that separate two words, in a row 48 pixels high; letters of one word stand 2 to 5 apart."""
_MAYBE_GAP = 5.0
"""Columns that separate words if the network, too, gives a space some chance."""
_NARROW_GAP = 3.5
"""Columns that separate two common words which together are none."""
_NO_GAP = 2.5
"""With fewer empty columns than this there is no space, whatever the network says."""
_LIKELY, _POSSIBLE, _IMPOSSIBLE = 0.06, 0.02, 0.004
"""Probability of a space somewhere between two letters.

Measured on blurred and small specimens: above 0.08 at 99 of 100 spaces, though mostly too low to be decoded, and below
0.004 at 99 of 100 places without one. A gap at such a place may be the reflection of a lamp.
"""
_FAINT = 0.16
"""Share of a row's strongest ink below which a column counts as empty."""
_SPACE_PROBABILITY = 0.6
"""The probability given to a space that was put in."""


def space_words(glyphs: list[Glyph], ink: Floats, space: Floats) -> list[Glyph]:
    """Put in spaces where the picture has gaps, and take out those where it has none.

    `ink` is the darkness of each column of the row, `space` the probability of a space at each step.
    """
    if not len(ink) or len(glyphs) < 2:
        return glyphs
    strongest = float(ink.max())
    out = [glyphs[0]]
    for glyph in glyphs[1:]:
        before = out[-1]
        if glyph.char == " ":
            out.append(glyph)
            continue
        spaced = before.char == " "
        left = out[-2] if spaced and len(out) > 1 else before
        gap = _gap(ink, strongest, left, glyph)
        if spaced:
            if gap < _NO_GAP and left.char.isalpha() and glyph.char.isalpha() and before.probability < 0.9:
                out.pop()
        elif _is_gap_a_space(left, glyph, gap, float(space[left.last : glyph.first + 1].max(initial=0.0))):
            out.append(Glyph(" ", _SPACE_PROBABILITY, left.last, glyph.first))
        out.append(glyph)
    return out


def _is_gap_a_space(left: Glyph, right: Glyph, gap: float, probability: float) -> bool:
    """Whether a gap of this width in columns, with this likelihood of a space, separates two words."""
    maybe = gap >= _MAYBE_GAP and probability > _POSSIBLE
    if left.char.isalpha() and right.char.isalpha():
        return probability > _LIKELY or (gap >= _WORD_GAP and probability > _IMPOSSIBLE) or maybe
    # After a full stop and before a number the network hesitates, as cards print them with and without a space.
    class_changes = left.char.isalnum() and left.char.isalpha() != right.char.isalpha()
    return maybe and right.char.isalnum() and (class_changes or left.char in ".,")


def split_glued_words(glyphs: list[Glyph], ink: Floats, words: frozenset[str]) -> list[Glyph]:
    """Split what reads as two common words in one, where the picture shows at least a narrow gap."""
    strongest = float(ink.max(initial=0.0))
    out: list[Glyph] = []
    start = 0
    splits: set[int] = set()
    for index, glyph in enumerate(glyphs):
        if index == start:
            stop = start
            while stop < len(glyphs) and glyphs[stop].char.isalpha():
                stop += 1
            splits = {start + at for at in split_points(text_of(glyphs[start:stop]), words)}
            start = stop + 1
        if index in splits and _gap(ink, strongest, glyphs[index - 1], glyph) >= _NARROW_GAP:
            out.append(Glyph(" ", _SPACE_PROBABILITY, glyphs[index - 1].last, glyph.first))
        out.append(glyph)
    return out


def _gap(ink: Floats, strongest: float, left: Glyph, right: Glyph) -> float:
    """The longest run of empty columns between the middles of two characters."""
    start = int((left.first + left.last + 1) / 2 * STEP)
    stop = int((right.first + right.last + 1) / 2 * STEP) + 1
    longest = run = 0
    for dark in ink[start:stop]:
        run = run + 1 if dark < _FAINT * strongest else 0
        longest = max(longest, run)
    return float(longest)
