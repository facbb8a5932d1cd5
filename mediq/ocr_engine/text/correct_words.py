"""Words put right where the row all but reads a common one.

The recogniser alone cannot tell SUKAMAU from SUKAMAJU in five pixels of height; that one of them is a word can. The
choice is between what the row itself may read: a common word must be nearly as likely by the network's own steps.
"""

import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.alphabet import Alphabet
from mediq.ocr_engine.text.ctc import Glyph, log_likelihood, text_of

_LEAD = 4.2
"""How much likelier, in units of the natural logarithm, letters that make no common word must be to stand. On small and
worn specimens, words misread were less far from the common ones that they were, and words that only resembled a common
one were further."""
_NEAR, _DOUBT = 18.0, 0.6
"""A word one letter from a common one, no more than this much surer, may have lost that letter to the edge of its row:
so much is taken from the logarithm of its likelihood."""
_UPRIGHT = re.compile("[IL][IJ]")
_ALIKE = 0.45
"""What is left of a lead where only upright strokes tell the words apart: in small print the recogniser takes IJ and LI
for a U, and is surer of that than it should be."""
_LEAST_LETTERS = 3
_SHORT = frozenset({"JL", "GG", "NO", "KP", "KM", "LK", "RT", "RW", "II", "AL"})
"""Words too short to be put right, that others are glued to."""
_MENDED = 0.5
"""The probability that a letter is given which the word brought, not the row."""


def mended(glyphs: list[Glyph], steps: Floats, alphabet: Alphabet, words: frozenset[str]) -> tuple[list[Glyph], float]:
    """The glyphs with uncommon words replaced by common ones that they may be, and by how much that lowers the
    logarithm of the text's likelihood.

    `steps` are those of the row that the glyphs were read from.
    """
    out: list[Glyph] = []
    lost = 0.0
    start = 0
    while start < len(glyphs):
        stop = start
        while stop < len(glyphs) and glyphs[stop].char.isalnum():
            stop += 1
        word = glyphs[start:stop]
        if word and _uncommon(word, words):
            before = glyphs[start - 1].last + 1 if start else word[0].first - 1
            after = glyphs[stop].first if stop < len(glyphs) else word[-1].last + 2
            part = steps[max(0, min(before, word[0].first)) : max(after, word[-1].last + 1)]
            word, loss = _common(word, part, alphabet, words)
            lost += loss
        out += word
        if stop < len(glyphs):
            out.append(glyphs[stop])
        start = stop + 1
    return out, lost


def parted(word: str, words: frozenset[str]) -> list[int]:
    """The places at which a word can be parted into two common ones."""
    if word in words:
        return []
    known = words | _SHORT
    return [place for place in range(2, len(word) - 1) if word[:place] in known and word[place:] in known]


def _uncommon(word: list[Glyph], words: frozenset[str]) -> bool:
    text = text_of(word)
    letters = sum(char.isalpha() for char in text)
    return letters >= max(_LEAST_LETTERS, 0.6 * len(text)) and text not in words


def _common(word: list[Glyph], steps: Floats, alphabet: Alphabet, words: frozenset[str]) -> tuple[list[Glyph], float]:
    text = text_of(word)
    doubt = 0.0
    now = log_likelihood(steps, [alphabet.index[char] for char in text])
    best, least = "", _LEAD
    shape = _UPRIGHT.sub("U", text)
    room = 1 if len(text) < 5 else 2 if len(text) < 9 else 3
    for other in words:
        apart = Levenshtein.distance(text, other, score_cutoff=room)
        if apart > room:
            continue
        loss = now - log_likelihood(steps, [alphabet.index[char] for char in other])
        if loss > 0 and _UPRIGHT.sub("U", other) == shape:
            loss *= _ALIKE
        if loss < least:
            best, least = other, loss
        elif loss < _NEAR and apart == 1:
            doubt = _DOUBT
    return (_respelled(word, best), max(0.0, least)) if best else (word, doubt)


def _respelled(word: list[Glyph], text: str) -> list[Glyph]:
    """The word's glyphs spelling another text, over the same steps."""
    same = len(text) == len(word)
    out = []
    for place, char in enumerate(text):
        old = word[min(len(word) - 1, place if same else place * len(word) // len(text))]
        out.append(old if old.char == char else Glyph(char, min(_MENDED, old.probability), old.first, old.last))
    return out
