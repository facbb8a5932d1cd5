"""From the rows of a field to its value, with the field's own alphabet and vocabulary."""

import math
import re

import msgspec

from mediq.domain.card import parse_date
from mediq.ocr_engine.alphabet import Alphabet, Kind
from mediq.ocr_engine.ctc import Glyph, exactly, greedy, log_likelihood, text_of
from mediq.ocr_engine.labels import distance
from mediq.ocr_engine.layout import Piece
from mediq.ocr_engine.picture import Floats
from mediq.ocr_engine.vocabulary import CLOSED, EXPIRY_FOR_LIFE, OPEN_ENDED

KINDS: dict[str, Kind] = {
    "provinsi": Kind.LETTERS,
    "kabupaten_kota": Kind.LETTERS,
    "nama": Kind.LETTERS,
    "tempat_lahir": Kind.LETTERS,
    "alamat": Kind.MIXED,
    "rt_rw": Kind.DIGITS,
    "kel_desa": Kind.MIXED,
    "kecamatan": Kind.MIXED,
    "kewarganegaraan": Kind.LETTERS,
}


class Value(msgspec.Struct, frozen=True):
    """A value and the evidence for it: the likeliness of its characters, mean and least, and whether it is
    of a form or list that the field must have (`None` where there is none)."""

    text: str
    mean: float
    least: float
    fits: bool | None = None
    pieces: tuple[Piece, ...] = ()
    agreed: bool | None = None
    """Whether a second look read the same letters and digits; `None` if there was none."""

    @property
    def doubtful(self) -> bool:
        """Whether it is worth a second look."""
        return not self.text or self.fits is False or self.mean < 0.97 or self.least < 0.8

    @property
    def strength(self) -> float:
        """For choosing between two readings of one field."""
        if not self.text:
            return -1.0
        return self.mean + 0.5 * self.least + (0.4 if self.fits else -0.4 if self.fits is False else 0.0)


def better(first: Value, second: Value) -> Value:
    """The stronger of two readings of one field, marked by whether they agree."""
    if not second.text:
        return first
    chosen = second if second.strength > first.strength else first
    agreed = _bare(first.text) == _bare(second.text) if first.text else None
    return msgspec.structs.replace(chosen, agreed=agreed)


def read_value(name: str, pieces: list[Piece], alphabet: Alphabet) -> Value:
    """The value of one field from its pieces in reading order."""
    if name == "nik":
        return _nik(pieces, alphabet)
    if name == "berlaku_hingga":
        return _expiry(pieces, alphabet)
    if name in CLOSED:
        return _closed(name, pieces, alphabet)
    text, mean, least = _joined(pieces, alphabet, KINDS.get(name, Kind.MIXED))
    if name == "rt_rw":
        return _rt_rw(text, mean, least, pieces)
    return Value(_tidy(text), mean, least, None, tuple(pieces))


def read_birth(pieces: list[Piece], alphabet: Alphabet) -> tuple[Value, Value]:
    """Place and date of birth, printed as `PLACE, DD-MM-YYYY`, the date sometimes alone on a second row."""
    glyphs: list[Glyph] = []
    views: list[Glyph] = []
    for piece in pieces:
        mixed = greedy(alphabet.view(piece.row.steps, Kind.MIXED), alphabet.characters)
        glyphs += ([Glyph(" ", 1.0, 0, 0)] if glyphs else []) + mixed
    views = glyphs
    text = text_of(views)
    start = _date_start(text)
    place, date = views[:start], views[start:]
    date_value = _date(date, tuple(pieces))
    # The place holds no digits; what looks like one is the letter that looks like it.
    letters = [Glyph(_as_letter(g.char), g.probability, g.first, g.last) for g in place]
    mean, least = _sure(letters)
    town = _tidy(text_of(letters)).rstrip(",. ").strip()
    return Value(town, mean, least, None, tuple(pieces)), date_value


_LOOKS: dict[str, str] = {
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
_LOOKS_DIGIT: dict[str, str] = {
    "O": "0", "D": "0", "Q": "0", "I": "1", "L": "1", "T": "7", "Z": "2", "S": "5", "B": "8", "G": "6", "A":
    "4",
}  # fmt: skip


def _as_letter(char: str) -> str:
    return _LOOKS.get(char, char)


def _as_digit(char: str) -> str:
    return _LOOKS_DIGIT.get(char, char)


def _date_start(text: str) -> int:
    """Where the date begins: after the last comma that leaves eight digits, or eight digits before the
    end."""
    comma = max(text.rfind(","), text.rfind(";"))
    if comma >= 0:
        behind = [_as_digit(c) for c in text[comma + 1 :]]
        if 6 <= sum(c.isdigit() for c in behind) <= 9:
            return comma + 1
    match = re.search(r"[\dOIlSBZ]{1,2}\W{0,2}[\dOIlSBZ]{2}\W{0,2}[\dOIlSBZ]{4}\W*$", text)
    if match:
        return match.start()
    first = re.search(r"\d", text)
    return first.start() if first else len(text)


def _date(glyphs: list[Glyph], pieces: tuple[Piece, ...]) -> Value:
    digits = [(d, g) for g in glyphs if (d := _as_digit(g.char)).isdigit()]
    marks = [i for i, g in enumerate(glyphs) if g.char == "-"]
    if len(digits) == 9 and len(marks) == 2:
        # The colon before, or the comma after the place, read as one digit more.
        day = [g for g in glyphs[: marks[0]] if _as_digit(g.char).isdigit()]
        if len(day) == 3:
            digits = digits[1:]
    mean, least = _sure([g for _, g in digits])
    text = "".join(d for d, _ in digits)
    if len(text) == 8:
        value = f"{text[:2]}-{text[2:4]}-{text[4:]}"
        born = parse_date(value)
        return Value(value, mean, least, born is not None and 1880 <= born.year <= 2200, pieces)
    if not text:
        return Value("", 0.0, 0.0, False, pieces)
    return Value(text_of(glyphs).strip(" ,:;."), mean * 0.5, 0.0, False, pieces)


def _joined(pieces: list[Piece], alphabet: Alphabet, kind: Kind) -> tuple[str, float, float]:
    texts: list[str] = []
    everything: list[Glyph] = []
    for piece in pieces:
        glyphs = greedy(alphabet.view(piece.row.steps, kind), alphabet.characters)
        while glyphs and glyphs[0].char in " :;.,'":
            glyphs = glyphs[1:]
        while glyphs and glyphs[-1].char in " :;'":
            glyphs = glyphs[:-1]
        if len(glyphs) > 2 and glyphs[0].char == "-" and glyphs[1].char in " " + "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            glyphs = glyphs[1:]
        if glyphs:
            texts.append(text_of(glyphs).strip())
            everything += glyphs
    mean, least = _sure(everything)
    return " ".join(texts), mean, least


def _sure(glyphs: list[Glyph]) -> tuple[float, float]:
    """The mean and the least probability of characters that count, marks and spaces aside."""
    seen = [g.probability for g in glyphs if g.char.isalnum()] or [g.probability for g in glyphs]
    return (sum(seen) / len(seen), min(seen)) if seen else (0.0, 0.0)


def _tidy(text: str) -> str:
    text = re.sub(r"\s+", " ", text).strip(" :;")
    return re.sub(r"\s+([,.])", r"\1", text)


def _nik(pieces: list[Piece], alphabet: Alphabet) -> Value:
    best: Value | None = None
    for piece in pieces:
        if piece.right - piece.left < 60:
            continue
        digits = [alphabet.index[d] for d in "0123456789"]
        steps = alphabet.view(piece.row.steps, Kind.DIGITS)
        free = [g for g in greedy(steps, alphabet.characters) if g.char.isdigit()]
        path = exactly(steps, digits, 16)
        if path is None:
            continue
        text = "".join(alphabet.characters[label] for label in path[0])
        agrees = text == text_of(free)
        mean, least = sum(path[1]) / 16, min(path[1])
        value = Value(text, mean, least * (1.0 if agrees else 0.5), agrees, (piece,))
        if best is None or value.strength > best.strength:
            best = value
    return best or Value("", 0.0, 0.0, False, tuple(pieces))


def _rt_rw(text: str, mean: float, least: float, pieces: list[Piece]) -> Value:
    compact = text.replace(" ", "")
    if re.fullmatch(r"-[1/7I]{0,2}-", compact):
        return Value("-/-", mean, least, True, tuple(pieces))
    if re.fullmatch(r"-?/-?|-", compact):
        return Value("-/-" if "/" in compact else "-", mean, least, True, tuple(pieces))
    digits = re.sub(r"\D", "", compact)
    if re.fullmatch(r"\d{3}/\d{3}", compact):
        return Value(compact, mean, least, True, tuple(pieces))
    if re.fullmatch(r"\d{1,4}/\d{1,4}", compact):
        return Value(compact, mean, least, None, tuple(pieces))
    # The stroke between two groups of three is often read as a 1 or 7, or not at all.
    if len(digits) == 7 and digits[3] in "17" and "/" not in compact:
        return Value(f"{digits[:3]}/{digits[4:]}", mean, least, None, tuple(pieces))
    if len(digits) == 6 and "/" not in compact:
        return Value(f"{digits[:3]}/{digits[3:]}", mean, least, None, tuple(pieces))
    return Value(compact.strip(",.:;"), mean, least, False, tuple(pieces))


def _expiry(pieces: list[Piece], alphabet: Alphabet) -> Value:
    best = Value("", 0.0, 0.0, False, tuple(pieces))
    letters, mean, least = _joined(pieces, alphabet, Kind.LETTERS)
    bare = re.sub(r"[^A-Z]", "", letters)
    if bare and distance(bare, "SEUMURHIDUP") <= 4:
        return Value(EXPIRY_FOR_LIFE, mean, least, True, tuple(pieces))
    glyphs: list[Glyph] = []
    for piece in pieces:
        if piece.left < 260:
            glyphs += greedy(alphabet.view(piece.row.steps, Kind.MIXED), alphabet.characters)
    date = _date(glyphs, tuple(pieces))
    return date if date.text else best


def _closed(name: str, pieces: list[Piece], alphabet: Alphabet) -> Value:
    """The word of the field's list that the rows most likely read; what was read if none is near."""
    kind = Kind.MIXED if name == "gol_darah" else Kind.LETTERS
    if name == "gol_darah":
        return _blood(pieces, alphabet)
    text, mean, least = _joined(pieces, alphabet, kind)
    text = _tidy(text)
    bare = _bare(text)
    if not bare:
        value = "-" if "-" in text else ""
        return Value(value, mean, least, bool(value) or None, tuple(pieces))
    words = sorted(CLOSED[name], key=lambda word: distance(bare, _bare(word)))[:6]
    nearest = distance(bare, _bare(words[0]))
    if nearest == 0:
        # Spacing and marks of the list, when the letters agree; slashes and brackets are often misread.
        return Value(words[0], mean, least, True, tuple(pieces))
    if nearest > max(1, round(len(_bare(words[0])) * (0.25 if name in OPEN_ENDED else 0.45))):
        return Value(text, mean, least, None if name in OPEN_ENDED else False, tuple(pieces))
    if name in OPEN_ENDED and mean > 0.97 and least > 0.9 and nearest > 1:
        return Value(text, mean, least, None, tuple(pieces))
    chosen = max(words, key=lambda word: _fit(word, pieces, alphabet, bare))
    return Value(chosen, mean, least * 0.8, True, tuple(pieces))


def _fit(word: str, pieces: list[Piece], alphabet: Alphabet, bare: str) -> float:
    """How well rows read a word: the likelihood of its path, or its distance where it runs over several
    pieces."""
    if len(pieces) == 1:
        steps: Floats = alphabet.view(pieces[0].row.steps, Kind.LETTERS)
        labels = [alphabet.index[c] for c in word if c in alphabet.index]
        found = log_likelihood(steps, labels)
        if math.isfinite(found):
            return found / 8 - distance(bare, _bare(word))
    return -float(distance(bare, _bare(word))) - 50


def _bare(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def _blood(pieces: list[Piece], alphabet: Alphabet) -> Value:
    text, mean, least = _joined(pieces, alphabet, Kind.MIXED)
    compact = re.sub(r"[^A-Z0-9+\-]", "", text.upper()).replace("0", "O").replace("8", "B").replace("4", "A")
    if compact in CLOSED["gol_darah"]:
        return Value(compact, mean, least, True, tuple(pieces))
    match = re.search(r"(AB|A|B|O)([+-]?)$", compact)
    if match:
        return Value(match.group(0), mean * 0.7, least * 0.7, None, tuple(pieces))
    if "D" in compact or "Q" in compact or "C" in compact:
        return Value("O", mean * 0.6, least * 0.5, None, tuple(pieces))
    return Value("-" if "-" in compact else "", mean * 0.6, least * 0.5, None, tuple(pieces))
