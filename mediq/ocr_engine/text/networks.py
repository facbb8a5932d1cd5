"""The two neural networks of PP-OCRv6 (small): one detects text in a picture, the other recognises a row of it.

They are the ONNX files inside the rapidocr package, run by onnxruntime directly. rapidocr's own classes hide the
probabilities of each step, which the engine needs, and their angle classifier turns the NIK's row upside down.
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

# Since 1.29 onnxruntime sends usage data to its maker unless this is set before its import; nothing leaves the clinic.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

ROW_HEIGHT = 48
"""Pixels: the height of a row in the input of the recognition network."""
STEP = 8
"""Pixels of a row 48 high that one step of the recognition network's output stands for."""
_LONGEST_ROW = 1600
"""Pixels: longer rows are squeezed to this width."""
_PADDED_TOGETHER = 3
"""Rows of similar width that are padded to the widest of them.

The padding behind a row influences slightly what is read, and all thresholds were fitted to rows padded like this.
"""


def _session(name: str, threads: int, *, arena: bool) -> Any:
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise RuntimeError("the rapidocr package, which carries the reading networks, is not installed")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = arena
    # Idle threads must not spin: another card may be waiting for the core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = Path(spec.origin).parent / "models" / name
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Networks:
    """Both networks, loaded. Threads may share one instance.

    Args:
        threads: the number of cores that one card may use.
    """

    def __init__(self, *, threads: int) -> None:
        # An arena keeps the memory of the largest input for good, and pictures vary in shape.
        self._detector = _session("PP-OCRv6_det_small.onnx", threads, arena=False)
        # Rows are recognised side by side, each on one core. Sharing one row among cores, or several rows in one
        # batch, costs more CPU, and the cores wait for one another. A row's arena is small; without one, the heap
        # of each worker thread would keep more.
        self._recogniser = _session("PP-OCRv6_rec_small.onnx", 1, arena=True)
        self._workers = ThreadPoolExecutor(threads, thread_name_prefix="row")
        characters = self._recogniser.get_modelmeta().custom_metadata_map["character"].splitlines()
        self.alphabet = Alphabet(characters)

    def text_map(self, picture: Picture) -> Floats:
        """The probability that each pixel is the core of a row of print: height × width, 0 to 1.

        Both sides of `picture` must be multiples of 32.
        """
        with timed("detect"):
            scaled = cv2.dnn.blobFromImage(picture, 1 / 127.5, mean=(127.5, 127.5, 127.5))
            found: Floats = self._detector.run(None, {self._detector.get_inputs()[0].name: scaled})[0]
        core: Floats = found[0, 0]
        return core

    def recognise(self, crops: Sequence[Picture]) -> Generator[tuple[Floats, Floats], None, None]:
        """Recognise rows of text, and give in their order the probabilities and the ink of each.

        Probabilities are steps × characters of the alphabet. Ink is the darkness of each column of the row, scaled to
        48 pixels high and at most 1600 wide. Crops may have any size.

        All rows start in the background at the first `next`. Closing the generator cancels those not yet started.
        """
        scaled = [_to_row_height(crop) for crop in crops]
        by_width = sorted(range(len(crops)), key=lambda i: scaled[i].shape[1])
        widths: dict[int, int] = {}
        for start in range(0, len(by_width), _PADDED_TOGETHER):
            similar = by_width[start : start + _PADDED_TOGETHER]
            widths.update((i, scaled[similar[-1]].shape[1]) for i in similar)
        pending = [self._workers.submit(self._recognise_row, row, widths[i]) for i, row in enumerate(scaled)]
        try:
            for future in pending:
                with timed("recognise"):
                    found = future.result()
                yield found
        finally:
            for future in pending:
                future.cancel()

    def _recognise_row(self, row: Picture, width: int) -> tuple[Floats, Floats]:
        """Recognise one row 48 pixels high, padded with grey to `width`."""
        length = row.shape[1]
        block = np.zeros((1, 3, ROW_HEIGHT, max(48, -(-width // 16) * 16)), np.float32)
        block[0, :, :, :length] = row.astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
        found: Floats = self._recogniser.run(None, {self._recogniser.get_inputs()[0].name: block})[0]
        steps = min(found.shape[1], -(-length // STEP) + 1)
        return self.alphabet.reduce(found[0, :steps]), _ink(row)


def _to_row_height(crop: Picture) -> Picture:
    height, width = crop.shape[:2]
    wanted = min(_LONGEST_ROW, max(8, round(width * ROW_HEIGHT / max(1, height))))
    kernel = cv2.INTER_AREA if height > ROW_HEIGHT else cv2.INTER_CUBIC
    return cv2.resize(crop, (wanted, ROW_HEIGHT), interpolation=kernel).astype(np.uint8, copy=False)


def _ink(row: Picture) -> Floats:
    """How much darker than the paper each column of a row is, by its three darkest pixels, without the rims."""
    grey = row[5:45].mean(axis=2)
    paper = np.percentile(grey, 80)
    darkest = np.sort(grey, axis=0)[:3].mean(axis=0)
    dark: Floats = np.maximum(0, paper - darkest).astype(np.float32)
    return dark
