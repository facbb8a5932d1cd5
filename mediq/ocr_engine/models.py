"""The two networks of PP-OCRv6 (small): one marks text in a picture, the other reads a line of it.

They are the ONNX files that the rapidocr package carries, run by onnxruntime directly: rapidocr's own
classes hide the per-step probabilities that deciding needs, and its line-angle classifier turns the NIK row
upside down.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mediq.ocr_engine.alphabet import Alphabet
from mediq.ocr_engine.picture import Floats, Picture
from mediq.ocr_engine.stages import timed

# Since 1.29 the runtime reports its use to its maker unless told not to before it is loaded; nothing leaves the clinic.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime as ort

ROW_HEIGHT = 48
"""Pixels: the height of a line of text as the reading network wants it."""
STEP = 8
"""Pixels of a 48-pixel row that one step of the reading network's output stands for."""


def _session(name: str, threads: int) -> Any:
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise RuntimeError("the rapidocr package, which carries the reading networks, is not installed")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The arena keeps the largest shape ever seen; pictures vary, so memory would only grow.
    options.enable_cpu_mem_arena = False
    # Idle threads must not spin: another card may be waiting for the core.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    path = Path(spec.origin).parent / "models" / name
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Models:
    """Both networks, loaded. Safe to share between threads: onnxruntime sessions are, and nothing else is
    kept."""

    def __init__(self, *, threads: int) -> None:
        self._detector = _session("PP-OCRv6_det_small.onnx", threads)
        self._reader = _session("PP-OCRv6_rec_small.onnx", threads)
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

    def read_rows(self, rows: list[Picture], *, batch: int = 3, longest: int = 1600) -> list[tuple[Floats, Floats]]:
        """Per row, the probability of each character of the alphabet at each step: steps × characters, and how dark
        each of its columns is.

        Rows may have any size; each is scaled to a height of 48 pixels, and at most `longest` wide. Rows of
        like width share a batch, as all are padded to the widest of it.
        """
        scaled = [_to_height(row, longest) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: scaled[i].shape[1])
        out: list[tuple[Floats, Floats]] = [(np.zeros((0, 0), np.float32), np.zeros(0, np.float32))] * len(rows)
        name = self._reader.get_inputs()[0].name
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            width = max(scaled[i].shape[1] for i in part)
            width = max(48, -(-width // 16) * 16)
            block = np.zeros((len(part), 3, ROW_HEIGHT, width), np.float32)
            for place, i in enumerate(part):
                row = scaled[i].astype(np.float32).transpose(2, 0, 1) / 127.5 - 1
                block[place, :, :, : row.shape[2]] = row
            with timed("read"):
                found: Floats = self._reader.run(None, {name: block})[0]
            for place, i in enumerate(part):
                steps = min(found.shape[1], -(-scaled[i].shape[1] // STEP) + 1)
                out[i] = self.alphabet.fold(found[place, :steps]), _ink(scaled[i])
        return out


def _to_height(row: Picture, longest: int) -> Picture:
    height, width = row.shape[:2]
    wanted = min(longest, max(8, round(width * ROW_HEIGHT / max(1, height))))
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
