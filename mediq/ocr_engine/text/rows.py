"""Lines of text that have been read."""

from collections.abc import Generator, Sequence
from contextlib import closing

import msgspec

from mediq.ocr_engine.image.picture import Floats, Picture
from mediq.ocr_engine.text.ctc import Glyph, greedy, text_of
from mediq.ocr_engine.text.detect import Line, cut
from mediq.ocr_engine.text.networks import STEP, Models


class Row(msgspec.Struct, frozen=True):
    """A line and what the network saw on it.

    `steps` are probabilities, steps × characters of the alphabet; `ink` is how dark each column of the row is, scaled
    to a height of 48 pixels; `wider` is by how many heights the cut
    reached beyond the line at each end.
    """

    line: Line
    steps: Floats
    glyphs: list[Glyph]
    ink: Floats
    wider: float = 0.0

    @property
    def text(self) -> str:
        return text_of(self.glyphs)

    @property
    def sure(self) -> float:
        """The mean probability of the characters, 0 if there are none."""
        return sum(g.probability for g in self.glyphs) / len(self.glyphs) if self.glyphs else 0.0

    def along(self, step: float) -> float:
        """Where a step lies on the line: 0 at its left end, 1 at its right."""
        line = self.line
        share = (step + 0.5) / max(1, len(self.steps))
        full = line.length + 2 * self.wider * line.height
        return (share * full - self.wider * line.height) / line.length

    def part(self, first: int, last: int) -> "Row":
        """The row from step `first` to step `last`, with the part of the line they cover."""
        left, right = self.along(first - 0.5), self.along(last + 0.5)
        line = self.line
        u, v = line.along
        middle = (left + right) / 2 - 0.5
        piece = Line(
            line.x + u * middle * line.length,
            line.y + v * middle * line.length,
            max(1.0, (right - left) * line.length),
            line.height,
            line.angle,
            line.score,
        )
        kept = [
            Glyph(g.char, g.probability, g.first - first, g.last - first)
            for g in self.glyphs
            if g.first >= first and g.last <= last
        ]
        ink = self.ink[max(0, first) * STEP : (last + 1) * STEP]
        return Row(piece, self.steps[max(0, first) : last + 1], kept, ink)


def read_lines(
    models: Models, picture: Picture, lines: Sequence[Line], *, wider: float = 0.1
) -> Generator[Row, None, None]:
    """Read lines of a picture as they stand, each in its own direction, in their order; see `Models.read_rows`."""
    characters = models.alphabet.characters
    with closing(models.read_rows([cut(picture, line, wider=wider) for line in lines])) as found:
        for line, (steps, ink) in zip(lines, found, strict=True):
            yield Row(line, steps, greedy(steps, characters), ink, wider)
