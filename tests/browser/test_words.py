"""The catalogues of texts: every language has the same keys, and they are the keys that the pages use."""

import re
from pathlib import Path
from string import Formatter

from mediq.http.pages import translations, web_pages

FOLDER = Path(web_pages.__file__).parent
TRANSLATIONS = translations.load()
KEYS = TRANSLATIONS[translations.LANGUAGES[0]].keys()


def sources() -> list[tuple[Path, str]]:
    return [(path, path.read_text("utf-8")) for kind in ("html", "js") for path in FOLDER.rglob(f"*.{kind}")]


def test_every_language_has_the_same_keys() -> None:
    for spoken in TRANSLATIONS.values():
        assert spoken.keys() ^ KEYS == set(), spoken.language


def test_every_language_uses_the_same_values() -> None:
    for key in KEYS:
        names = {
            language: {name for _, name, _, _ in Formatter().parse(spoken(key)) if name}
            for language, spoken in TRANSLATIONS.items()
        }
        assert len({frozenset(each) for each in names.values()}) == 1, (key, names)


def test_every_key_that_a_page_uses_exists() -> None:
    words_said = re.compile(r"\bt\(\s*[\"']([a-z_0-9.-]+)[\"']\s*[,)]")
    said = {(key, path.name) for path, text in sources() for key in words_said.findall(text)}
    assert len(said) > 20
    assert {(key, name) for key, name in said if key not in KEYS} == set()


def test_every_computed_key_has_texts() -> None:
    """For example `status.` followed by the status of a ticket."""
    starts = {
        (start, path.name)
        for path, text in sources()
        for start in re.findall(r"\bt\(\s*(?:`([a-z_0-9.-]+)\$\{|[\"'][a-z_0-9.-]+\.[\"']\s*[+~])", text)
        if start
    }
    assert {(s, name) for s, name in starts if not any(key.startswith(s) for key in KEYS)} == set()


def test_every_text_is_used() -> None:
    text = "\n".join(text for _, text in sources()) + (FOLDER / "web_pages.py").read_text("utf-8")
    built = re.findall(r"[`\"']([a-z_0-9]+\.(?:[a-z_0-9-]+\.?)*)(?:\$\{|\{|[\"']\s*[+~])", text)
    left = {
        key
        for key in KEYS
        if f'"{key}"' not in text and f"'{key}'" not in text and not any(key.startswith(start) for start in built)
    }
    assert left == set()
