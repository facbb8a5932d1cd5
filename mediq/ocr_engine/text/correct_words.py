"""Spelling correction: a doubtful word becomes a common one that its row reads nearly as well.

In letters five pixels high the network alone cannot tell SUKAMAU from SUKAMAJU, but only one of them is a word.
A common word is taken only if the network's own probabilities find it nearly as likely as what was read.
"""

import re

from rapidfuzz.distance import Levenshtein

from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.alphabet import Alphabet
from mediq.ocr_engine.text.ctc import Glyph, log_likelihood, text_of

_LEAD = 4.2
"""Natural logarithm of how much likelier an uncommon word must be than a common one to be left as it is.

Chosen on small and worn specimens, between the misread words and the correct ones that only resemble a common word.
"""
_NEAR = 18.0
"""As `_LEAD`: an uncommon word ahead by less than this may have lost a letter to the edge of its row."""
_DOUBT = 0.6
"""What such a word loses of the logarithm of its likelihood."""
_UPRIGHTS = re.compile("[IL][IJ]")
_UPRIGHTS_FACTOR = 0.45
"""What counts of a lead where only upright strokes tell the words apart.

In small print the network reads IJ and LI as U, and is surer of it than it should be.
"""
_LEAST_LETTERS = 3
_SHORT_WORDS = frozenset({"JL", "GG", "NO", "KP", "KM", "LK", "RT", "RW", "II", "AL"})
"""Words that others are glued to, too short to be corrected themselves."""
_CORRECTED_PROBABILITY = 0.5
"""The most that a letter is given that comes from the common word and not from the row."""


def correct_words(
    glyphs: list[Glyph], probabilities: Floats, alphabet: Alphabet, words: frozenset[str]
) -> tuple[list[Glyph], float]:
    """Replace uncommon words by common ones of `words` that the row may read.

    `probabilities` (steps × characters) are those of the row that the glyphs were decoded from. The second value is
    what the corrections take from the natural logarithm of the text's likelihood.
    """
    out: list[Glyph] = []
    lost = 0.0
    start = 0
    while start < len(glyphs):
        stop = start
        while stop < len(glyphs) and glyphs[stop].char.isalnum():
            stop += 1
        word = glyphs[start:stop]
        if word and _is_uncommon(word, words):
            before = glyphs[start - 1].last + 1 if start else word[0].first - 1
            after = glyphs[stop].first if stop < len(glyphs) else word[-1].last + 2
            covered = probabilities[max(0, min(before, word[0].first)) : max(after, word[-1].last + 1)]
            word, loss = _corrected(word, covered, alphabet, words)
            lost += loss
        out += word
        if stop < len(glyphs):
            out.append(glyphs[stop])
        start = stop + 1
    return out, lost


def split_points(word: str, words: frozenset[str]) -> list[int]:
    """The indexes at which a word that is no common one splits into two common ones."""
    if word in words:
        return []
    known = words | _SHORT_WORDS
    return [index for index in range(2, len(word) - 1) if word[:index] in known and word[index:] in known]


def _is_uncommon(word: list[Glyph], words: frozenset[str]) -> bool:
    """Whether a word consists mostly of letters and is no common one."""
    text = text_of(word)
    letters = sum(char.isalpha() for char in text)
    return letters >= max(_LEAST_LETTERS, 0.6 * len(text)) and text not in words


def _corrected(
    word: list[Glyph], probabilities: Floats, alphabet: Alphabet, words: frozenset[str]
) -> tuple[list[Glyph], float]:
    """The word, or the likeliest common word near it, and what that takes from the logarithm of the likelihood."""
    text = text_of(word)
    doubt = 0.0
    now = log_likelihood(probabilities, [alphabet.index[char] for char in text])
    best, least = "", _LEAD
    shape = _UPRIGHTS.sub("U", text)
    most_edits = 1 if len(text) < 5 else 2 if len(text) < 9 else 3
    for other in words:
        edits = Levenshtein.distance(text, other, score_cutoff=most_edits)
        if edits > most_edits:
            continue
        loss = now - log_likelihood(probabilities, [alphabet.index[char] for char in other])
        if loss > 0 and _UPRIGHTS.sub("U", other) == shape:
            loss *= _UPRIGHTS_FACTOR
        if loss < least:
            best, least = other, loss
        elif loss < _NEAR and edits == 1:
            doubt = _DOUBT
    return (_respelled(word, best), max(0.0, least)) if best else (word, doubt)


def _respelled(word: list[Glyph], text: str) -> list[Glyph]:
    """Glyphs that spell `text` over the steps of the word."""
    same_length = len(text) == len(word)
    out = []
    for index, char in enumerate(text):
        old = word[min(len(word) - 1, index if same_length else index * len(word) // len(text))]
        if old.char == char:
            out.append(old)
        else:
            out.append(Glyph(char, min(_CORRECTED_PROBABILITY, old.probability), old.first, old.last))
    return out
