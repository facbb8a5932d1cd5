"""How likely a value is right, from what the network saw and what the value had to look like."""

import math

from mediq.ocr_engine.value import Value


def estimate(name: str, value: Value, supported: bool) -> tuple[float, bool]:
    """The probability that a value is right, and whether no one need look at it."""
    if not value.text:
        return 0.0, False
    confidence = 0.5 * value.evidence.mean + 0.5 * math.exp(value.evidence.whole)
    if value.fits is False:
        confidence *= 0.5
    if supported or value.fits:
        confidence = 1 - (1 - confidence) * 0.5
    confidence = round(min(0.999, max(0.01, confidence)), 3)
    return confidence, confidence >= 0.95 and value.fits is not False
