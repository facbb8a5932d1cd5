"""The text of pieces of a value: characters of the kind that can stand there, and the spaces between its
words."""

import math
import re

import msgspec

from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.image.picture import Floats
from mediq.ocr_engine.text.alphabet import Alphabet, Kind
from mediq.ocr_engine.text.correct_words import mended, parted
from mediq.ocr_engine.text.ctc import Glyph, digit_shares, greedy, text_of, whole
from mediq.ocr_engine.text.networks import STEP

_SPACE = 11.0
"""Columns without ink that part two words, in a row 48 high; letters of one word stand 2 to 5 apart."""
_MAYBE_SPACE = 5.0
"""Columns that part words if the network, too, gives a space some chance."""
_NARROW = 3.5
"""Columns that part two words which are each common, and glued are not."""
_LIKELY, _POSSIBLE, _UNTHINKABLE = 0.06, 0.02, 0.004
"""Probability of a space somewhere between two letters. Measured on blurred and small specimens, it was
above 0.08 at 99 of 100 spaces, though mostly too low to be read, and below 0.004 at 99 of 100 places without
one, where a gap may still be the light of a lamp."""
_NO_SPACE = 2.5
"""With fewer empty columns than this there is no space, whatever the network says."""
_FAINT = 0.16
"""Share of a row's strongest ink below which a column counts as empty."""

_LABEL_END = re.compile(r"\W*\w?\W?:(?=.*[\w-])")
"""The last letter of a label and its colon; no value has a colon."""


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for a text: the mean and the least probability of its letters and digits, the natural
    logarithm of the probability of the text as a whole, and how many letters and digits it has."""

    mean: float = 0.0
    least: float = 0.0
    whole: float = -20.0
    count: int = 0


class Text(msgspec.Struct, frozen=True):
    """What pieces of a value read."""

    text: str
    evidence: Evidence
    glyphs: list[Glyph]


def read_text(pieces: list[Piece], alphabet: Alphabet, kind: Kind, words: frozenset[str] = frozenset()) -> Text:
    """Pieces in reading order as one text, a space between two of them; doubtful words as common ones of `words`."""
    texts: list[str] = []
    everything: list[Glyph] = []
    total = 0.0
    for piece in pieces:
        steps = alphabet.view(piece.row.steps, kind)
        glyphs = _trimmed(greedy(steps, alphabet.characters))
        if not glyphs:
            continue
        total += whole(steps, glyphs, alphabet.index)
        glyphs = [_with_shares(glyph, steps, alphabet) for glyph in glyphs]
        glyphs = _spaced(glyphs, piece.row.ink, steps[:, alphabet.index[" "]])
        if words:
            glyphs = _parted(glyphs, piece.row.ink, words)
            glyphs, lost = mended(glyphs, steps, alphabet, words)
            total -= lost
        texts.append(text_of(glyphs).strip())
        everything += [Glyph(" ", 1.0, 0, 0)] if everything else []
        everything += glyphs
    return Text(tidy(" ".join(texts)), evidence_of(everything, total), everything)


def _with_shares(glyph: Glyph, steps: Floats, alphabet: Alphabet) -> Glyph:
    if not glyph.char.isdigit():
        return glyph
    shares = digit_shares(steps, glyph.first, glyph.last, alphabet.index)
    return Glyph(glyph.char, glyph.probability, glyph.first, glyph.last, shares)


def evidence_of(glyphs: list[Glyph], total: float) -> Evidence:
    """The evidence for characters read, `total` being the logarithm of their joint probability."""
    seen = [g.probability for g in glyphs if g.char.isalnum()] or [g.probability for g in glyphs if g.char != " "]
    if not seen:
        return Evidence()
    return Evidence(sum(seen) / len(seen), min(seen), total, len(seen))


def letters_alone(text: Text) -> Evidence:
    """The evidence for the letters and digits of a text, whatever stands between them."""
    likely = sum(math.log(max(1e-9, glyph.probability)) for glyph in text.glyphs if glyph.char.isalnum())
    return msgspec.structs.replace(text.evidence, whole=likely)


def weaker(evidence: Evidence, by: float) -> Evidence:
    """The evidence with every probability multiplied by `by`, for a value that is not quite what was read."""
    return Evidence(evidence.mean * by, evidence.least * by, evidence.whole - (1 - by) * 4, evidence.count)


def bare(text: str) -> str:
    """The letters and digits of a text."""
    return "".join(c for c in text if c.isalnum())


def tidy(text: str) -> str:
    """One space between words, none before a comma or stop, no stray marks at the ends."""
    text = re.sub(r"\s+", " ", text).strip(" :;'")
    text = re.sub(r"\s+([,.])", r"\1", text)
    return re.sub(r"\s*/\s*(?=\d)", "/", text)


def _trimmed(glyphs: list[Glyph]) -> list[Glyph]:
    """Without what is left of the label and its colon before, and of dirt behind."""
    rest = _LABEL_END.match(text_of(glyphs))
    if rest is not None:
        glyphs = glyphs[rest.end() :]
    while glyphs and glyphs[0].char in " :;.,'":
        glyphs = glyphs[1:]
    while glyphs and glyphs[-1].char in " :;',":
        glyphs = glyphs[:-1]
    if len(glyphs) > 2 and glyphs[0].char == "-" and (glyphs[1].char == " " or glyphs[1].char.isalpha()):
        glyphs = glyphs[1:]
    return glyphs


def _spaced(glyphs: list[Glyph], ink: Floats, space: Floats) -> list[Glyph]:
    """Put spaces where the picture has gaps, and take those away where it has none.

    `ink` is the darkness of each column of the row, `space` the probability of a space at each step.
    """
    if not len(ink) or len(glyphs) < 2:
        return glyphs
    full = float(ink.max())
    out = [glyphs[0]]
    for glyph in glyphs[1:]:
        before = out[-1]
        if glyph.char == " ":
            out.append(glyph)
            continue
        parted = before.char == " "
        left = out[-2] if parted and len(out) > 1 else before
        gap = _gap(ink, full, left, glyph)
        if parted:
            if gap < _NO_SPACE and left.char.isalpha() and glyph.char.isalpha() and before.probability < 0.9:
                out.pop()
        else:
            likely = float(space[left.last : glyph.first + 1].max(initial=0.0))
            maybe = gap >= _MAYBE_SPACE and likely > _POSSIBLE
            if left.char.isalpha() and glyph.char.isalpha():
                apart = likely > _LIKELY or (gap >= _SPACE and likely > _UNTHINKABLE) or maybe
            else:
                # After a stop and before a number the network hesitates, as cards have them with a space and without.
                differ = left.char.isalnum() and left.char.isalpha() != glyph.char.isalpha()
                apart = maybe and glyph.char.isalnum() and (differ or left.char in ".,")
            if apart:
                out.append(Glyph(" ", 0.6, left.last, glyph.first))
        out.append(glyph)
    return out


def _parted(glyphs: list[Glyph], ink: Floats, words: frozenset[str]) -> list[Glyph]:
    """Two common words read as one parted, where the picture shows at least a narrow gap."""
    full = float(ink.max(initial=0.0))
    out: list[Glyph] = []
    start = 0
    for place, glyph in enumerate(glyphs):
        if place == start:
            stop = start
            while stop < len(glyphs) and glyphs[stop].char.isalpha():
                stop += 1
            cuts = {start + at for at in parted(text_of(glyphs[start:stop]), words)}
            start = stop + 1
        if place in cuts and _gap(ink, full, glyphs[place - 1], glyph) >= _NARROW:
            out.append(Glyph(" ", 0.6, glyphs[place - 1].last, glyph.first))
        out.append(glyph)
    return out


def _gap(ink: Floats, full: float, left: Glyph, right: Glyph) -> float:
    """The longest run of empty columns between the middles of two characters."""
    start = int((left.first + left.last + 1) / 2 * STEP)
    stop = int((right.first + right.last + 1) / 2 * STEP) + 1
    longest = run = 0
    for dark in ink[start:stop]:
        run = run + 1 if dark < _FAINT * full else 0
        longest = max(longest, run)
    return float(longest)
