"""Text recognition: boxes of a picture become rows of text."""

from collections.abc import Generator, Sequence
from contextlib import closing

import msgspec

from mediq.ocr_engine.image.picture import Floats, Picture
from mediq.ocr_engine.text.ctc import Glyph, greedy_decode, text_of
from mediq.ocr_engine.text.detect import TextBox, crop
from mediq.ocr_engine.text.networks import STEP, Networks


class Row(msgspec.Struct, frozen=True):
    """A row of text: its box in the photo, and what the recognition network saw there.

    `probabilities` are steps × characters of the alphabet. `ink` is the darkness of each column of the row, scaled to
    a height of 48 pixels. `padding` is how many heights the crop reached beyond the box at each end.
    """

    box: TextBox
    probabilities: Floats
    glyphs: list[Glyph]
    ink: Floats
    padding: float = 0.0

    @property
    def text(self) -> str:
        return text_of(self.glyphs)

    @property
    def mean_probability(self) -> float:
        """The mean probability of the characters, 0 if there are none."""
        return sum(g.probability for g in self.glyphs) / len(self.glyphs) if self.glyphs else 0.0

    def share_of_length(self, step: float) -> float:
        """Where a step lies along the box: 0 at its left end, 1 at its right."""
        box = self.box
        share = (step + 0.5) / max(1, len(self.probabilities))
        padded = box.length + 2 * self.padding * box.height
        return (share * padded - self.padding * box.height) / box.length

    def between(self, first: int, last: int) -> "Row":
        """The part of the row from step `first` to step `last`, with its part of the box."""
        left, right = self.share_of_length(first - 0.5), self.share_of_length(last + 0.5)
        box = self.box
        u, v = box.direction
        middle = (left + right) / 2 - 0.5
        own_box = TextBox(
            box.x + u * middle * box.length,
            box.y + v * middle * box.length,
            max(1.0, (right - left) * box.length),
            box.height,
            box.angle,
            box.score,
        )
        kept = [
            Glyph(g.char, g.probability, g.first - first, g.last - first)
            for g in self.glyphs
            if g.first >= first and g.last <= last
        ]
        ink = self.ink[max(0, first) * STEP : (last + 1) * STEP]
        return Row(own_box, self.probabilities[max(0, first) : last + 1], kept, ink)


def recognise_rows(
    networks: Networks, picture: Picture, boxes: Sequence[TextBox], *, padding: float = 0.1
) -> Generator[Row, None, None]:
    """Recognise boxes of a picture, each in its own direction, in their order.

    `padding` is how many heights each crop reaches beyond its box. As :meth:`Networks.recognise`, the generator works
    in the background, and closing it ends that.
    """
    characters = networks.alphabet.characters
    with closing(networks.recognise([crop(picture, box, padding=padding) for box in boxes])) as recognised:
        for box, (probabilities, ink) in zip(boxes, recognised, strict=True):
            yield Row(box, probabilities, greedy_decode(probabilities, characters), ink, padding)
