"""How likely a value is right, from what the network saw and what the value had to look like.

A logistic regression over the evidence. Its weights are the mean of two fits by `python bench/ocr.py --fit`, over
some 2,500 fields each, of specimens and of a scanned card through every kind of damage; `python bench/ocr.py` prints
how well they hold.
"""

import math

from mediq.ocr_engine.fields.value import Value

_CLOSED = frozenset({"jenis_kelamin", "agama", "status_perkawinan", "kewarganegaraan", "provinsi", "pekerjaan"})
_NUMBERS = frozenset({"nik", "tgl_lahir", "rt_rw", "berlaku_hingga"})

WEIGHTS: tuple[float, ...] = (0.7, 0.49, -0.01, 0.98, -0.14, 0.39, -1.5, 1.94, -0.75, 0.35, 0.18, 0.38, -0.09, -0.06)
"""One for each of :func:`features`."""

CERTAIN = 0.98
"""From this confidence on a field need not be looked at: of such fields fewer than 1 in 200 were wrong."""


def features(name: str, value: Value, supported: bool, card: float) -> tuple[float, ...]:
    """What the confidence is computed from, all of the order of 1.

    `supported` says that the NIK bears the value out; `card` is the median over the card's fields of the logarithm of
    their likelihood, as one field of a bad photo is less likely right than its own row shows.
    """
    evidence = value.evidence
    return (
        1.0,
        max(-4.0, evidence.whole),
        _sureness(max(-4.0, evidence.whole)),
        _sureness(math.log(max(1e-3, evidence.least))),
        float(value.agreed is True and value.doubtful),
        float(value.agreed is True and not value.doubtful),
        float(value.agreed is False),
        float(value.fits is True),
        float(value.fits is False),
        float(supported),
        max(-2.0, card),
        _sureness(max(-2.0, card)),
        float(name in _CLOSED),
        float(name in _NUMBERS),
    )


def _sureness(likelihood: float) -> float:
    """From the logarithm of a likelihood to how many times it is surer than even, again a logarithm, halved."""
    return -math.log(1 - math.exp(min(0.0, likelihood)) + 1e-3) / 2


def estimate(name: str, value: Value, supported: bool, card: float) -> tuple[float, bool]:
    """The probability that a value is right, and whether no one need look at it."""
    if not value.text:
        return 0.0, False
    sum_ = sum(w * x for w, x in zip(WEIGHTS, features(name, value, supported, card), strict=True))
    confidence = round(min(0.999, max(0.01, 1 / (1 + math.exp(-sum_)))), 3)
    return confidence, confidence >= CERTAIN and value.fits is not False
