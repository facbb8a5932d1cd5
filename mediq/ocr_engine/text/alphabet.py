"""The characters of an e-KTP, chosen from the 18,709 that the recognition network knows.

Probabilities are arrays of steps × characters: a step is one position along a row of text, see `ctc.py`.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""Index of the CTC blank, the class that stands for no character."""

_KEPT = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz.,:;/-+'()&\"!*"
_LOOK_ALIKES: dict[str, str] = {
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
"""Characters of other scripts and the character of the card that each one counts for."""

_UPPER = {c: c.upper() for c in "abcdefghijkmnopqrstuvwxyz"} | {"l": "I", "!": "I"}
"""Cards print capitals: a small letter counts as its capital, a small L as I."""
LETTER_FOR_DIGIT = {
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
"""The letter that each digit looks like, for values without digits."""
_DIGIT_FOR_LETTER = {
    "O": "0", "D": "0", "Q": "0", "U": "0", "C": "0", "I": "1", "L": "1", "T": "7", "Z": "2", "S": "5", "B":
    "8", "G": "6", "A": "4", "E": "8", "J": "1",
}  # fmt: skip

_LOOK_ALIKE_WEIGHT = 0.6
"""A look-alike of the other class is weaker evidence than the character itself."""


class CharacterClass(StrEnum):
    """The characters that a value can consist of."""

    MIXED = "letters, digits and punctuation"
    LETTERS = "letters and punctuation"
    DIGITS = "digits and punctuation"


_PUNCTUATION = {
    CharacterClass.MIXED: " .,/-'()+&:;",
    CharacterClass.LETTERS: " .,/-'():;",
    CharacterClass.DIGITS: "-/:;, ",
}


class Alphabet:
    """Reduces the network's output to the characters of a card.

    `characters` holds the characters in column order, the blank first; `index` gives the column of a character.
    """

    def __init__(self, network_characters: list[str]) -> None:
        """`network_characters` are in the network's order, without its blank (first) and its space (last)."""
        columns: dict[str, int] = {}
        for column, character in enumerate([*network_characters, " "], start=1):
            columns.setdefault(character, column)
        self.characters = "\0" + "".join(c for c in _KEPT if c in columns)
        self.index = {c: i for i, c in enumerate(self.characters)}
        self._columns = np.array([BLANK] + [columns[c] for c in self.characters[1:]])
        self._look_alikes = [
            (columns[other], self.index[c]) for other, c in _LOOK_ALIKES.items() if other in columns and c in self.index
        ]
        self._restrictions = {character_class: self._restriction(character_class) for character_class in CharacterClass}

    def reduce(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Reduce steps × 18,710 probabilities of the network to steps × `len(characters)`.

        Each step is normalised to 1 again. A step that saw only characters no card has becomes a blank.
        """
        kept = probabilities[:, self._columns].astype(np.float32)
        for source, target in self._look_alikes:
            kept[:, target] += probabilities[:, source]
        total = kept.sum(axis=1, keepdims=True)
        kept[:, BLANK] += np.maximum(0.0, 0.02 - total[:, 0])
        out: NDArray[np.float32] = kept / kept.sum(axis=1, keepdims=True)
        return out

    def restrict(self, probabilities: NDArray[np.float32], character_class: CharacterClass) -> NDArray[np.float32]:
        """Restrict steps × characters to those of one class, small letters counted as capitals.

        Look-alikes of the other class (0 and O) count for the right one. Steps no longer sum to 1: the less they
        keep, the less sure they are. A step of impossible characters alone is a blank with a small weight.
        """
        out: NDArray[np.float32] = probabilities @ self._restrictions[character_class]
        out[:, BLANK] = np.maximum(out[:, BLANK], 0.01)
        return out

    def _restriction(self, character_class: CharacterClass) -> NDArray[np.float32]:
        """The matrix, characters × characters, that takes each character to the one it counts for."""
        size = len(self.characters)
        matrix = np.zeros((size, size), np.float32)
        matrix[BLANK, BLANK] = 1
        other_class = {CharacterClass.LETTERS: LETTER_FOR_DIGIT, CharacterClass.DIGITS: _DIGIT_FOR_LETTER}.get(
            character_class, {}
        )
        for column, char in enumerate(self.characters[1:], start=1):
            upper = _UPPER.get(char, char)
            meant = other_class.get(upper, upper)
            letter = meant.isalpha() and character_class is not CharacterClass.DIGITS
            digit = meant.isdigit() and character_class is not CharacterClass.LETTERS
            if letter or digit or meant in _PUNCTUATION[character_class]:
                matrix[column, self.index[meant]] = 1.0 if meant == upper else _LOOK_ALIKE_WEIGHT
        return matrix
