"""The two networks of PP-OCRv6 (small): one marks text in a picture, the other reads a line of it.

They are the ONNX files that the rapidocr package carries, run by onnxruntime directly: rapidocr's own
classes hide the per-step probabilities that deciding needs, and its line-angle classifier turns the NIK row
upside down.
"""

import os
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mediq.ocr_engine.image.picture import Floats, Picture
from mediq.ocr_engine.text.alphabet import Alphabet
from mediq.ocr_engine.timing import timed

# Since 1.29 the runtime reports its use to its maker unless told not to before it is loaded; nothing leaves the clinic.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

ROW_HEIGHT = 48
"""Pixels: the height of a line of text as the reading network wants it."""
STEP = 8
"""Pixels of a 48-pixel row that one step of the reading network's output stands for."""
_LONGEST = 1600
"""Pixels: the length to which longer rows are squeezed."""
_ALIKE = 3
"""Rows of like width are padded to the widest of so many: what is behind a row sways a little what is read on it, and
all that judges what was read was fitted to rows padded so."""


def _session(name: str, threads: int, *, arena: bool) -> Any:
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise RuntimeError("the rapidocr package, which carries the reading networks, is not installed")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena keeps the largest shape ever seen.
    options.enable_cpu_mem_arena = arena
    # Idle threads must not spin: another card may be waiting for the core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = Path(spec.origin).parent / "models" / name
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Models:
    """Both networks, loaded. Safe to share between threads: onnxruntime sessions are, and so are the workers that read
    rows."""

    def __init__(self, *, threads: int) -> None:
        # Pictures vary in shape, and what the largest needs would be kept for good.
        self._detector = _session("PP-OCRv6_det_small.onnx", threads, arena=False)
        # Rows are read side by side, each on one core: shared out within a row, or with several rows a run, the work is
        # more, and the cores wait for one another. A single row needs little, and without an arena the heap of each
        # worker would keep more than that.
        self._reader = _session("PP-OCRv6_rec_small.onnx", 1, arena=True)
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="row")
        characters = self._reader.get_modelmeta().custom_metadata_map["character"].splitlines()
        self.alphabet = Alphabet(characters)

    def text_map(self, picture: Picture) -> Floats:
        """How likely each pixel is the core of a line of text: height × width, 0 to 1, of the picture's own
        size.

        The sides of `picture` must be multiples of 32.
        """
        with timed("detect"):
            scaled = cv2.dnn.blobFromImage(picture, 1 / 127.5, mean=(127.5, 127.5, 127.5))
            found: Floats = self._detector.run(None, {self._detector.get_inputs()[0].name: scaled})[0]
        core: Floats = found[0, 0]
        return core

    def read_rows(self, rows: Sequence[Picture]) -> Generator[tuple[Floats, Floats], None, None]:
        """Per row, in their order, the probability of each character of the alphabet at each step: steps × characters,
        and how dark each of its columns is.

        Rows may have any size; each is scaled to a height of 48 pixels, and at most 1600 wide. When the first is asked
        for all are begun, in their order; who closes this before the end has no more of them read.
        """
        scaled = [_to_height(row) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: scaled[i].shape[1])
        widths: dict[int, int] = {}
        for start in range(0, len(order), _ALIKE):
            alike = order[start : start + _ALIKE]
            widths.update((i, scaled[alike[-1]].shape[1]) for i in alike)
        under_way = [self._workers.submit(self._read_row, row, widths[i]) for i, row in enumerate(scaled)]
        try:
            for read in under_way:
                with timed("read"):
                    found = read.result()
                yield found
        finally:
            for read in under_way:
                read.cancel()

    def _read_row(self, row: Picture, width: int) -> tuple[Floats, Floats]:
        """As :meth:`read_rows`, of one row 48 pixels high, with grey behind it up to `width`."""
        length = row.shape[1]
        block = np.zeros((1, 3, ROW_HEIGHT, max(48, -(-width // 16) * 16)), np.float32)
        block[0, :, :, :length] = row.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        found: Floats = self._reader.run(None, {self._reader.get_inputs()[0].name: block})[0]
        steps = min(found.shape[1], -(-length // STEP) + 1)
        return self.alphabet.fold(found[0, :steps]), _ink(row)


def _to_height(row: Picture) -> Picture:
    height, width = row.shape[:2]
    wanted = min(_LONGEST, max(8, round(width * ROW_HEIGHT / max(1, height))))
    shrinking = height > ROW_HEIGHT
    kernel = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
    return cv2.resize(row, (wanted, ROW_HEIGHT), interpolation=kernel).astype(np.uint8, copy=False)


def _ink(row: Picture) -> Floats:
    """How dark each column of a row is against the paper: the mean of its three darkest pixels, rims aside."""
    grey = row[5:45].mean(axis=2)
    paper = np.percentile(grey, 80)
    darkest = np.sort(grey, axis=0)[:3].mean(axis=0)
    dark: Floats = np.maximum(0, paper - darkest).astype(np.float32)
    return dark
