"""How well cards are read: accuracy by kind of damage and by field, calibration, time by stage, memory.

    python bench/ocr.py [--cards 6] [--damage scan hand ...] [--scan CARD.jpg] [--errors]

Cards are specimens out of `tests/fixtures`; `--scan` takes the scan of a card instead, with a CARD.json of its fields
beside it, and photographs that. Letters and digits are compared; the column `exact` counts spacing and marks too.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

sys.path.pop(0)  # the folder of this file, whose queue.py would stand before the library's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

from mediq.domain.card import FIELDS, Reading
from mediq.ocr_engine import reader as engine
from mediq.ocr_engine import timing as stages
from mediq.ocr_engine.fields import confidence
from mediq.ocr_engine.fields.value import Value
from mediq.ocr_engine.reader import CardReader
from tests.fixtures.specimens.camera import DAMAGES, shoot_array
from tests.fixtures.specimens.cards import VARIANTS, person, photograph


def bare(text: str) -> str:
    """The letters and digits of a value."""
    return "".join(c for c in text.upper() if c.isalnum())


class Score:
    """What a bench of cards gave."""

    def __init__(self) -> None:
        self.fields: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        self.damages: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        self.niks: dict[str, list[bool]] = defaultdict(list)
        self.refused: Counter[str] = Counter()
        self.sure: list[tuple[float, bool, bool, str]] = []
        self.times: dict[str, list[float]] = defaultdict(list)
        self.cpu: list[float] = []
        self.errors: list[str] = []
        self.spacing: list[str] = []
        self.confusions: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)

    def add(self, damage: str, name: str, truth: dict[str, str], reading: Reading, took: float) -> None:
        self.times[damage].append(took)
        if not reading.is_ktp:
            self.refused[f"{damage}: {reading.reason}"] += 1
            self.errors.append(f"{name} refused: {reading.reason}")
        for field in FIELDS:
            read = reading.fields.get(field)
            value = read.value if read else ""
            right, exact = bare(value) == bare(truth[field]), value == truth[field]
            if not bare(truth[field]):
                right = exact
            self.fields[field].append((right, exact))
            self.damages[damage].append((right, exact))
            if field == "nik":
                self.niks[damage].append(right)
            if read:
                self.sure.append((read.confidence, read.certain, right, field))
            if right and not exact:
                self.spacing.append(f"{name} {field}: {truth[field]!r} read {value!r}")
            if not right:
                self.confusions[field][truth[field], value] += 1
            if not right and reading.is_ktp:
                mark = "CERTAIN " if read and read.certain else ""
                self.errors.append(
                    f"{name} {field}: {truth[field]!r} read {value!r} {mark}{read.confidence if read else ''}"
                )


def share(pairs: list[tuple[bool, bool]], which: int) -> float:
    return sum(pair[which] for pair in pairs) / max(1, len(pairs))


def report(score: Score, errors: bool) -> None:
    print(f"{'damage':<12}{'cards':>6}{'right':>8}{'exact':>8}{'NIK':>8}{'median s':>10}{'worst s':>9}")
    for damage, pairs in score.damages.items():
        niks, times = score.niks[damage], score.times[damage]
        print(
            f"{damage:<12}{len(niks):>6}{share(pairs, 0):>8.3f}{share(pairs, 1):>8.3f}"
            f"{sum(niks):>5}/{len(niks):<2}{statistics.median(times):>10.2f}{max(times):>9.2f}"
        )
    everything = [pair for pairs in score.damages.values() for pair in pairs]
    times = [t for part in score.times.values() for t in part]
    niks = [n for part in score.niks.values() for n in part]
    print(
        f"{'all':<12}{len(niks):>6}{share(everything, 0):>8.3f}{share(everything, 1):>8.3f}"
        f"{sum(niks):>5}/{len(niks):<2}{statistics.median(times):>10.2f}{max(times):>9.2f}\n"
    )
    for field, pairs in score.fields.items():
        worst = ", ".join(f"{t!r}→{v!r}" for (t, v), _ in score.confusions[field].most_common(3))
        print(f"{field:<20}{share(pairs, 0):>7.3f}{share(pairs, 1):>7.3f}  {worst}")
    print("\nconfidence  fields  right")
    for low, high in ((0, 0.5), (0.5, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 0.98), (0.98, 0.995), (0.995, 1.01)):
        part = [right for sure, _, right, _ in score.sure if low <= sure < high]
        if part:
            print(f"{low:.3f}–{min(high, 1):.3f}  {len(part):>6}  {sum(part) / len(part):.3f}")
    certain = [right for _, certain, right, _ in score.sure if certain]
    wrong = len(certain) - sum(certain)
    print(f"certain: {len(certain)} of {len(score.sure)} fields, {wrong} of them wrong")
    for line, count in score.refused.items():
        print(f"refused {line}: {count}")
    if errors:
        print("\n" + "\n".join(score.errors))
        print("\nspacing and marks:\n" + "\n".join(score.spacing))


class Fit:
    """Collects the evidence for every field read, and fits the weights of its confidence."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.right: list[bool] = []
        self._card: dict[str, tuple[tuple[float, ...], str]] = {}
        estimate = confidence.estimate

        def spy(name: str, value: Value, supported: bool, card: float) -> tuple[float, bool]:
            self._card[name] = (confidence.features(name, value, supported, card), value.text)
            return estimate(name, value, supported, card)

        engine.estimate = spy

    def add(self, truth: dict[str, str]) -> None:
        for name, (row, text) in self._card.items():
            if text:
                self.rows.append(row)
                self.right.append(bare(text) == bare(truth[name]))
        self._card.clear()

    def weights(self) -> list[float]:
        """Newton's method for a logistic regression with a ridge, which leaves the constant free."""
        x, y = np.array(self.rows), np.array(self.right, float)
        w = np.zeros(x.shape[1])
        ridge = np.full(len(w), 3.0)
        ridge[0] = 0.01
        for _ in range(40):
            p = 1 / (1 + np.exp(-x @ w))
            slope = x.T @ (y - p) - ridge * w
            bend = (x * (p * (1 - p))[:, None]).T @ x + np.diag(ridge)
            w += np.linalg.solve(bend, slope)
        return [round(float(v), 2) for v in w]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=6, help="cards of each kind of damage")
    parser.add_argument("--first", type=int, default=0, help="seed of the first card")
    parser.add_argument("--damage", nargs="*", default=list(DAMAGES), choices=DAMAGES)
    parser.add_argument("--scan", type=Path, help="the scan of a card to photograph instead of specimens")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--errors", action="store_true", help="list every field read wrong")
    parser.add_argument("--keep", type=Path, help="folder to keep the photos in")
    parser.add_argument("--fit", action="store_true", help="fit the weights of confidence.py to these cards")
    parser.add_argument("--evidence", type=Path, help="file of evidence to add to, for --fit over several runs")
    chosen = parser.parse_args()
    fit = Fit() if chosen.fit else None
    reader = CardReader(threads=chosen.threads)
    started = time.perf_counter()
    reader.load()
    print(f"models loaded in {time.perf_counter() - started:.2f} s\n")
    score = Score()
    for damage in chosen.damage:
        for seed in range(chosen.first, chosen.first + chosen.cards):
            if chosen.scan:
                truth = json.loads(chosen.scan.with_suffix(".json").read_text())
                card = cv2.imread(str(chosen.scan))
                assert card is not None
                photo = shoot_array(np.asarray(card, np.uint8), seed=seed, damage=damage)
            else:
                variant = VARIANTS[seed % len(VARIANTS)]
                truth = person(seed, variant)
                photo = photograph(truth, seed=seed, damage=damage, variant=variant)
            if chosen.keep:
                (chosen.keep / f"{damage}-{seed}.jpg").write_bytes(photo)
            started, busy = time.perf_counter(), time.process_time()
            reading = reader.read(photo)
            score.cpu.append(time.process_time() - busy)
            score.add(damage, f"{damage}-{seed}", truth, reading, time.perf_counter() - started)
            if fit:
                fit.add(truth)
    report(score, chosen.errors)
    if fit:
        if chosen.evidence:
            if chosen.evidence.exists():
                old = np.load(chosen.evidence)
                fit.rows += [tuple(row) for row in old["rows"]]
                fit.right += list(old["right"])
            np.savez(chosen.evidence, rows=np.array(fit.rows), right=np.array(fit.right))
        print(f"\nweights over {len(fit.rows)} fields: {fit.weights()}")
    print("\nstage        s/card  share")
    total = sum(stages.seconds.values())
    cards = sum(len(part) for part in score.times.values())
    for stage, seconds in stages.seconds.items():
        print(f"{stage:<12}{seconds / cards:>7.3f}{seconds / total:>7.0%}")
    print(f"processor: {statistics.median(score.cpu):.2f} s/card, median; it counts all cores, and no waiting for them")
    print(f"memory: at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
