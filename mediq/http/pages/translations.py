"""The texts of the pages: one catalogue a language, `words/*.toml`, with the same keys in each."""

import tomllib
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("id", "en")
"""The first is the default; a browser's cookie may choose another."""
_FOLDER: Final = Path(__file__).parent / "words"


class Translations:
    """The texts of one language, by key: `board.waiting` is the key `waiting` of the catalogue's table `board`.

    Example::

        t = load()["en"]
        t("docs.found", count=3)  # "3 found"
    """

    def __init__(self, language: str) -> None:
        with (_FOLDER / f"{language}.toml").open("rb") as file:
            self._texts = _flat(tomllib.load(file))
        self.language = language

    def __call__(self, key: str, **values: object) -> str:
        """The text of `key`, in which `values` replace the names in braces.

        Raises:
            KeyError: the catalogue has no such key, or a name in braces has no value.
        """
        text = self._texts[key]
        return text.format(**values) if values else text

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def keys(self) -> frozenset[str]:
        """All keys."""
        return frozenset(self._texts)

    def sections(self, *names: str) -> dict[str, str]:
        """The texts of whole tables by key, for a page's script."""
        return {key: text for key, text in self._texts.items() if key.partition(".")[0] in names}


def load() -> dict[str, Translations]:
    """The translations of all languages, by language."""
    return {language: Translations(language) for language in LANGUAGES}


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: str(value)}
    return flat
