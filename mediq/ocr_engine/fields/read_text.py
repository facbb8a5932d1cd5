"""The text of a value: the rows of a field decoded with the characters that the field can hold."""

import math
import re

import msgspec

from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.alphabet import Alphabet, CharacterClass
from mediq.ocr_engine.text.correct_words import correct_words
from mediq.ocr_engine.text.ctc import Glyph, digit_probabilities, glyphs_log_likelihood, greedy_decode, text_of
from mediq.ocr_engine.text.spacing import space_words, split_glued_words

_LABEL_END = re.compile(r"\W*\w?\W?:(?=.*[\w-])")
"""The last letter of a label and its colon; no value has a colon."""


class TextEvidence(msgspec.Struct, frozen=True):
    """How surely a text was read.

    `mean` and `least` are probabilities of its letters and digits, and `count` is their number. `log_likelihood` is the
    natural logarithm of the probability of the whole text.
    """

    mean: float = 0.0
    least: float = 0.0
    log_likelihood: float = -20.0
    count: int = 0

    def weakened(self, factor: float) -> "TextEvidence":
        """The evidence with probabilities times `factor`, for a value that is not quite what was read."""
        log_likelihood = self.log_likelihood - (1 - factor) * 4
        return TextEvidence(self.mean * factor, self.least * factor, log_likelihood, self.count)


class DecodedText(msgspec.Struct, frozen=True):
    """The text of the rows of a field, with its evidence and its glyphs."""

    text: str
    evidence: TextEvidence
    glyphs: list[Glyph]

    def evidence_without_punctuation(self) -> TextEvidence:
        """The evidence for the letters and digits alone, whatever stands between them."""
        logs = (math.log(max(1e-9, glyph.probability)) for glyph in self.glyphs if glyph.char.isalnum())
        return msgspec.structs.replace(self.evidence, log_likelihood=sum(logs))


def read_text(
    rows: list[PlacedRow], alphabet: Alphabet, character_class: CharacterClass, words: frozenset[str] = frozenset()
) -> DecodedText:
    """Decode rows in reading order to one text, with a space between two rows.

    `character_class` are the characters that the field can hold. Doubtful words become common ones of `words`.
    """
    texts: list[str] = []
    all_glyphs: list[Glyph] = []
    total = 0.0
    for placed in rows:
        ink = placed.row.ink
        probabilities = alphabet.restrict(placed.row.probabilities, character_class)
        glyphs = _without_ends(greedy_decode(probabilities, alphabet.characters))
        if not glyphs:
            continue
        total += glyphs_log_likelihood(probabilities, glyphs, alphabet.index)
        glyphs = [_with_digit_probabilities(glyph, probabilities, alphabet) for glyph in glyphs]
        glyphs = space_words(glyphs, ink, probabilities[:, alphabet.index[" "]])
        if words:
            glyphs = split_glued_words(glyphs, ink, words)
            glyphs, lost = correct_words(glyphs, probabilities, alphabet, words)
            total -= lost
        texts.append(text_of(glyphs).strip())
        all_glyphs += [Glyph(" ", 1.0, 0, 0)] if all_glyphs else []
        all_glyphs += glyphs
    return DecodedText(tidy(" ".join(texts)), evidence_of(all_glyphs, total), all_glyphs)


def evidence_of(glyphs: list[Glyph], log_likelihood: float) -> TextEvidence:
    """The evidence of decoded glyphs, `log_likelihood` being that of all of them together."""
    seen = [g.probability for g in glyphs if g.char.isalnum()] or [g.probability for g in glyphs if g.char != " "]
    if not seen:
        return TextEvidence()
    return TextEvidence(sum(seen) / len(seen), min(seen), log_likelihood, len(seen))


def letters_and_digits(text: str) -> str:
    """The text without spaces and punctuation."""
    return "".join(c for c in text if c.isalnum())


def tidy(text: str) -> str:
    """One space between words, none before a comma or full stop, no stray punctuation at the ends."""
    text = re.sub(r"\s+", " ", text).strip(" :;'")
    text = re.sub(r"\s+([,.])", r"\1", text)
    return re.sub(r"\s*/\s*(?=\d)", "/", text)


def _with_digit_probabilities(glyph: Glyph, probabilities: Floats, alphabet: Alphabet) -> Glyph:
    if not glyph.char.isdigit():
        return glyph
    of_digits = digit_probabilities(probabilities, glyph.first, glyph.last, alphabet.index)
    return Glyph(glyph.char, glyph.probability, glyph.first, glyph.last, of_digits)


def _without_ends(glyphs: list[Glyph]) -> list[Glyph]:
    """Without what is left of the label and its colon before the value, and without dirt behind it."""
    label = _LABEL_END.match(text_of(glyphs))
    if label is not None:
        glyphs = glyphs[label.end() :]
    while glyphs and glyphs[0].char in " :;.,'":
        glyphs = glyphs[1:]
    while glyphs and glyphs[-1].char in " :;',":
        glyphs = glyphs[:-1]
    if len(glyphs) > 2 and glyphs[0].char == "-" and (glyphs[1].char == " " or glyphs[1].char.isalpha()):
        glyphs = glyphs[1:]
    return glyphs
