"""Which fields are read a second time."""

from mediq.domain.card import FIELDS
from mediq.ocr_engine.fields.field_value import FieldValue
from mediq.ocr_engine.fields.read_fields import labels_to_reread
from mediq.ocr_engine.fields.read_text import TextEvidence

CLEAR = {name: FieldValue("X", TextEvidence(0.99, 0.99, -0.01, 1)) for name in FIELDS}
DOUBTFUL = FieldValue("X", TextEvidence(0.9, 0.5, -0.9, 1))


def test_of_clear_values_only_the_name_is_reread() -> None:
    """Nothing else on the card confirms the name."""
    assert labels_to_reread(CLEAR, set()) == ["nama"]


def test_a_doubtful_value_is_reread() -> None:
    assert labels_to_reread(CLEAR | {"agama": DOUBTFUL}, set()) == ["nama", "agama"]


def test_a_doubtful_date_of_birth_is_reread_together_with_the_place() -> None:
    assert labels_to_reread(CLEAR | {"tgl_lahir": DOUBTFUL}, set()) == ["nama", "lahir"]


def test_a_value_that_begins_late_is_reread() -> None:
    assert labels_to_reread(CLEAR, {"kecamatan"}) == ["nama", "kecamatan"]
