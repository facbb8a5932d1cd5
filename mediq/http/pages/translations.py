"""The words of the pages: one catalogue a language, `words/*.toml`, with the same keys in each."""

import tomllib
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("id", "en")
"""The first is spoken unless someone chooses the other."""
_FOLDER: Final = Path(__file__).parent / "words"


class Translations:
    """One language's words, by key: `board.waiting` is the key `waiting` of the catalogue's table `board`."""

    def __init__(self, language: str) -> None:
        with (_FOLDER / f"{language}.toml").open("rb") as file:
            self._words = _flat(tomllib.load(file))
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The words behind `key`, with `values` set in for the names in braces.

        Raises:
            KeyError: no such words.
        """
        words = self._words[key]
        return words.format(**values) if values else words

    def __contains__(self, key: str) -> bool:
        return key in self._words

    def keys(self) -> frozenset[str]:
        return frozenset(self._words)

    def sections(self, *names: str) -> dict[str, str]:
        """The words of whole tables, for a page's script."""
        return {key: words for key, words in self._words.items() if key.partition(".")[0] in names}


def load() -> dict[str, Translations]:
    """The catalogues of all languages."""
    return {language: Translations(language) for language in LANGUAGES}


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: str(value)}
    return flat
