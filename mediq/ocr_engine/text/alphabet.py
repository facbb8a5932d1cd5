"""The letters, digits and marks that an e-KTP can carry, out of the 18,709 characters the network knows."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""Index of the step that reads nothing."""

_KEPT = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz.,:;/-+'()&\"!*"
_TWINS: dict[str, str] = {
    "：": ":",
    "，": ",",
    "。": ".",
    "．": ".",
    "／": "/",
    "－": "-",
    "—": "-",
    "–": "-",
    "−": "-",
    "一": "-",
    "_": "-",
    "～": "-",
    "~": "-",
    "’": "'",
    "‘": "'",
    "`": "'",
    "（": "(",
    "）": ")",
    "；": ";",
    "＋": "+",
    "\u3000": " ",
    "·": ".",
    "•": ".",
    "|": "I",
    "丨": "I",
    "Ｏ": "O",
    "〇": "0",
    "[": "(",
    "]": ")",
    "\\": "/",
    "É": "E",
    "é": "e",
    "È": "E",
}
"""Look-alikes of other scripts, counted for the character that is meant."""


_UPPER = {c: c.upper() for c in "abcdefghijkmnopqrstuvwxyz"} | {"l": "I", "!": "I"}
_LETTER_TWINS = {
    "0": "O",
    "1": "I",
    "5": "S",
    "8": "B",
    "6": "G",
    "2": "Z",
    "4": "A",
    "7": "T",
    "3": "B",
    "9": "P",
}
_DIGIT_TWINS = {
    "O": "0", "D": "0", "Q": "0", "U": "0", "C": "0", "I": "1", "L": "1", "T": "7", "Z": "2", "S": "5", "B":
    "8", "G": "6", "A": "4", "E": "8", "J": "1",
}  # fmt: skip


class Kind(StrEnum):
    """What a value can consist of."""

    MIXED = "letters, digits and marks"
    LETTERS = "letters and marks"
    DIGITS = "digits and marks"


_MARKS = {Kind.MIXED: " .,/-'()+&:;", Kind.LETTERS: " .,/-'():;", Kind.DIGITS: "-/:;, "}


class Alphabet:
    """Folds the network's output to the characters of a card."""

    def __init__(self, characters: list[str]) -> None:
        """`characters` are the network's own, in its order, without the blank before and the space after
        them."""
        places: dict[str, int] = {}
        for index, character in enumerate([*characters, " "], start=1):
            places.setdefault(character, index)
        self.characters = "\0" + "".join(c for c in _KEPT if c in places)
        self.index = {c: i for i, c in enumerate(self.characters)}
        self._columns = np.array([BLANK] + [places[c] for c in self.characters[1:]])
        self._twins = [
            (places[twin], self.index[c]) for twin, c in _TWINS.items() if twin in places and c in self.index
        ]

        self._views = {kind: self._view(kind) for kind in Kind}

    def _view(self, kind: Kind) -> NDArray[np.float32]:
        size = len(self.characters)
        matrix = np.zeros((size, size), np.float32)
        matrix[BLANK, BLANK] = 1
        twins = {Kind.LETTERS: _LETTER_TWINS, Kind.DIGITS: _DIGIT_TWINS}.get(kind, {})
        for place, char in enumerate(self.characters[1:], start=1):
            upper = _UPPER.get(char, char)
            meant = twins.get(upper, upper)
            kept = (meant.isalpha() and kind is not Kind.DIGITS) or (meant.isdigit() and kind is not Kind.LETTERS)
            if kept or meant in _MARKS[kind]:
                # A look-alike of the other kind is weaker evidence than the character itself.
                matrix[place, self.index[meant]] = 1.0 if meant == upper else 0.6
        return matrix

    def view(self, steps: NDArray[np.float32], kind: Kind) -> NDArray[np.float32]:
        """The same steps with small letters read as capitals and what cannot stand in such a value left out.

        Look-alikes of the wrong kind (0 and O) count for the right one. What was left out makes a step less
        sure: the rows no longer sum to 1, and a step of nothing but impossible characters is blank with a
        small weight.
        """
        out: NDArray[np.float32] = steps @ self._views[kind]
        out[:, BLANK] = np.maximum(out[:, BLANK], 0.01)
        return out

    def fold(self, steps: NDArray[np.float32]) -> NDArray[np.float32]:
        """Steps × 18,710 probabilities to steps × `len(characters)`; what is left out is spread by
        renormalising.

        A step that saw only a foreign character becomes blank.
        """
        kept = steps[:, self._columns].astype(np.float32)
        for source, target in self._twins:
            kept[:, target] += steps[:, source]
        total = kept.sum(axis=1, keepdims=True)
        kept[:, BLANK] += np.maximum(0.0, 0.02 - total[:, 0])
        out: NDArray[np.float32] = kept / kept.sum(axis=1, keepdims=True)
        return out
