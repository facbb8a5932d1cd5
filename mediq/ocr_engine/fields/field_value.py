"""The value of a field as read, and choosing between two of them."""

import msgspec

from mediq.ocr_engine.card.layout import PlacedRow
from mediq.ocr_engine.fields.read_text import TextEvidence, letters_and_digits


class FieldValue(msgspec.Struct, frozen=True):
    """The value of a field, with the evidence for it and the rows it was read from.

    `well_formed` says whether it has the form that the field requires, or is in the field's list; None for a field
    with neither. `reread_agrees` says whether a reread gave the same letters and digits; None if there was none.
    `digit_probabilities` says of each digit of a NIK or date how likely it is each of 0 to 9.
    """

    text: str
    evidence: TextEvidence
    well_formed: bool | None = None
    rows: tuple[PlacedRow, ...] = ()
    reread_agrees: bool | None = None
    digit_probabilities: tuple[tuple[float, ...], ...] = ()

    @property
    def doubtful(self) -> bool:
        """Whether a reread is worth its time."""
        evidence = self.evidence
        return not self.text or self.well_formed is False or evidence.log_likelihood < -0.3 or evidence.least < 0.85

    @property
    def strength(self) -> float:
        """For choosing between two values of one field: likelihood for each character, and form."""
        if not self.text:
            return -9.0
        evidence = self.evidence
        per_character = max(-3.0, evidence.log_likelihood / max(3, evidence.count))
        form = 0.4 if self.well_formed else -0.4 if self.well_formed is False else 0
        return evidence.mean + 0.5 * evidence.least + per_character + form


def stronger(first: FieldValue, second: FieldValue) -> FieldValue:
    """The stronger of a first value and its reread, marked by whether they agree.

    The reread sees the whole row. If it reads the first value and more, the rest had been cut off.
    """
    if not second.text:
        return first
    one, two = letters_and_digits(first.text), letters_and_digits(second.text)
    cut_off = 2 <= len(one) < len(two) and one in two and second.evidence.mean > 0.8
    second_wins = second.strength > first.strength or (cut_off and second.well_formed is not False)
    return msgspec.structs.replace(second if second_wins else first, reread_agrees=one == two if first.text else None)
