"""A value as read, and what speaks for it."""

import msgspec

from mediq.ocr_engine.card.layout import Piece
from mediq.ocr_engine.fields.read_text import Evidence, bare


class Value(msgspec.Struct, frozen=True):
    """A field's value with the evidence for it.

    `fits` says whether it is of the form, or in the list, that the field must have; `None` where there is neither.
    `agreed` says whether a second look read the same letters and digits; `None` if there was none.
    `shares` say of each digit of a NIK or a date how likely it is each of 0 to 9.
    """

    text: str
    evidence: Evidence
    fits: bool | None = None
    pieces: tuple[Piece, ...] = ()
    agreed: bool | None = None
    shares: tuple[tuple[float, ...], ...] = ()

    @property
    def doubtful(self) -> bool:
        """Whether it is worth a second look."""
        evidence = self.evidence
        return not self.text or self.fits is False or evidence.whole < -0.3 or evidence.least < 0.85

    @property
    def strength(self) -> float:
        """For choosing between two readings of one field: likelihood a character, and whether it fits."""
        if not self.text:
            return -9.0
        evidence = self.evidence
        share = max(-3.0, evidence.whole / max(3, evidence.count))
        return evidence.mean + 0.5 * evidence.least + share + (0.4 if self.fits else -0.4 if self.fits is False else 0)


def better(first: Value, second: Value) -> Value:
    """The stronger of two readings of one field, marked by whether they agree.

    The second looks at the whole row: what it reads beyond the first was cut off there.
    """
    if not second.text:
        return first
    one, two = bare(first.text), bare(second.text)
    cut_off = 2 <= len(one) < len(two) and one in two and second.evidence.mean > 0.8
    chosen = second if second.strength > first.strength or (cut_off and second.fits is not False) else first
    return msgspec.structs.replace(chosen, agreed=one == two if first.text else None)
