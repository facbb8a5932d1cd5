"""Confidence calibration: the probability that a value is right.

A logistic regression over what the network saw and whether the value has the form it must have. The weights are the
mean of two fits by `python bench/ocr.py --fit`. Each fit used some 2,500 fields, of specimens and of a scanned card,
with every kind of damage. `python bench/ocr.py` prints how well the weights hold.
"""

import math

from mediq.ocr_engine.fields.field_value import FieldValue

_CLOSED = frozenset({"jenis_kelamin", "agama", "status_perkawinan", "kewarganegaraan", "provinsi", "pekerjaan"})
_NUMBERS = frozenset({"nik", "tgl_lahir", "rt_rw", "berlaku_hingga"})

WEIGHTS: tuple[float, ...] = (0.7, 0.49, -0.01, 0.98, -0.14, 0.39, -1.5, 1.94, -0.75, 0.35, 0.18, 0.38, -0.09, -0.06)
"""One for each of :func:`features`."""

CERTAIN = 0.98
"""From this confidence on nobody need look at a field: fewer than 1 in 200 such fields were wrong."""


def features(name: str, value: FieldValue, confirmed: bool, card: float) -> tuple[float, ...]:
    """The inputs of the regression, all of the order of 1.

    `confirmed` says that the NIK agrees with the value. `card` is the median over the card's fields of the logarithm
    of their likelihood: on a bad photo a value is less likely right than its own row shows.
    """
    evidence = value.evidence
    return (
        1.0,
        max(-4.0, evidence.log_likelihood),
        _nearness_to_certainty(max(-4.0, evidence.log_likelihood)),
        _nearness_to_certainty(math.log(max(1e-3, evidence.least))),
        float(value.reread_agrees is True and value.doubtful),
        float(value.reread_agrees is True and not value.doubtful),
        float(value.reread_agrees is False),
        float(value.well_formed is True),
        float(value.well_formed is False),
        float(confirmed),
        max(-2.0, card),
        _nearness_to_certainty(max(-2.0, card)),
        float(name in _CLOSED),
        float(name in _NUMBERS),
    )


def _nearness_to_certainty(log_probability: float) -> float:
    """Half the logarithm of 1 / (1 - p): how close to certain a probability is, given by its logarithm."""
    return -math.log(1 - math.exp(min(0.0, log_probability)) + 1e-3) / 2


def estimate_confidence(name: str, value: FieldValue, confirmed: bool, card: float) -> tuple[float, bool]:
    """The probability that a value is right, and whether it is certain; arguments as for :func:`features`."""
    if not value.text:
        return 0.0, False
    total = sum(w * x for w, x in zip(WEIGHTS, features(name, value, confirmed, card), strict=True))
    confidence = round(min(0.999, max(0.01, 1 / (1 + math.exp(-total)))), 3)
    return confidence, confidence >= CERTAIN and value.well_formed is not False
