"""Examples of bodies, made of their schemas and of people who do not exist."""

from typing import Any, Final

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/"
_SAMPLES: Final[dict[str, Any]] = {
    # People
    "nik": "3201155503900001",
    "nama": "SITI CONTOH",
    "email": "petugas@klinik.example",
    "password": "sepuluh huruf",
    "current_password": "sepuluh huruf",
    "new_password": "sebelas huruf",
    "provinsi": "JAWA BARAT",
    "kabupaten_kota": "KABUPATEN BOGOR",
    "tempat_lahir": "BOGOR",
    "tgl_lahir": "15-03-1990",
    "jenis_kelamin": "PEREMPUAN",
    "gol_darah": "O",
    "alamat": "JL. CONTOH NO. 1",
    "rt_rw": "001/002",
    "kel_desa": "CONTOHSARI",
    "kecamatan": "CIBINONG",
    "agama": "ISLAM",
    "status_perkawinan": "KAWIN",
    "pekerjaan": "KARYAWAN SWASTA",
    "kewarganegaraan": "WNI",
    "berlaku_hingga": "SEUMUR HIDUP",
    "User.email": None,
    "User.role": "PASIEN",
    "CreateUser.nik": "3201155503900001",
    "CreateUser.tgl_lahir": "15-03-1990",
    "CreateDevice.nama": "Kios pintu masuk",
    "SetUp.nama": "Ibu Sari",
    "UpdateRole.role": "OPERATOR",
    # Ids, tokens and times
    "id": "5b0f2f6c9d1e4f0e8a7c3b2d1f0e9a8b",
    "user_id": "0d8e6a5c4b3f4a2e9c1d7f6e5b4a3c2d",
    "actor": "7c1d0e9f8a7b4c6d5e4f3a2b1c0d9e8f",
    "token": "q3VbX0n9T1yKc7dLw2ZfRg",
    "access_token": "eyJhbGciOiJIUzI1NiJ9.contoh.access",
    "refresh_token": "eyJhbGciOiJIUzI1NiJ9.contoh.refresh",
    "expires_in": 900,
    "at": "2026-03-02T09:00:00+07:00",
    "created_at": "2026-03-02T08:55:12+07:00",
    "updated_at": "2026-03-02T08:55:12+07:00",
    "taken_at": "2026-03-02T08:55:10+07:00",
    "issued_at": "2026-03-02T08:55:12+07:00",
    "from": "2026-03-02",
    "to": "2026-03-02",
    "opens": "07:30:00",
    "closes": "14:00:00",
    "request_id": "9f2c51d07ab34e68",
    # The queue
    "number": "A-012",
    "last_number": "A-011",
    "service": "umum",
    "counter": "1",
    "counter_name": "Loket 1",
    "clinic": "Klinik Contoh",
    "board": "all",
    "status": "WAITING",
    "priority": "NORMAL",
    "TicketView.counter": None,
    "StaffTicket.counter": None,
    "BoardCounter.status": "CALLED",
    "position": 3,
    "people_ahead": 2,
    "low_minutes": 8,
    "high_minutes": 20,
    "version": 128,
    "waiting": 3,
    "open": True,
    "letter": "A",
    "timezone": "Asia/Jakarta",
    "tickets": 42,
    "limit": 20,
    "count": 42,
    "steps": 42,
    "p50": 7.5,
    "p90": 18.0,
    "no_show_rate": 0.05,
    "Service.id": "umum",
    "Service.name": "Poli Umum",
    "Counter.id": "1",
    "Counter.name": "Loket 1",
    "ServiceState.id": "umum",
    "ServiceState.name": "Poli Umum",
    "BoardService.id": "umum",
    "BoardService.name": "Poli Umum",
    "name": "Klinik Contoh",
    "Prioritise.priority": "HIGH",
    "Prioritise.priority_reason": "hamil",
    "Transfer.service": "gigi",
    # Cards
    "value": "SITI CONTOH",
    "confidence": 0.998,
    "certain": True,
    "is_ktp": True,
    "elapsed_ms": 640,
    "role": "OPERATOR",
    "CardStatus.status": "PENDING",
    "CardResult.status": "REGISTERED",
    "x": 0.31,
    "y": 0.24,
    "width": 0.4,
    "height": 0.06,
    # Operations
    "Health.version": "0.1.0",
    "Health.service": "gateway",
    "DetailedHealth.version": "0.1.0",
    "Health.status": "up",
    "DetailedHealth.status": "up",
    "ComponentHealth.status": "up",
    "uptime_seconds": 86400.0,
    "latency_ms": 0.4,
    "why": "diminta pasien",
    "action": "queue.call-next",
    "subject": "5b0f2f6c9d1e4f0e8a7c3b2d1f0e9a8b",
}
"""By the field's name, or by its struct's and its own; only the latter show in a request what need not be sent."""

_KEYS: Final = {
    "parts": "user",
    "fields": "nama",
    "by_status": "COMPLETED",
    "by_priority": "NORMAL",
    "by_day": "2026-03-02",
    "by_hour": "08",
    "by_service": "umum",
    "by_counter": "1",
    "by_operator": "7c1d0e9f8a7b4c6d5e4f3a2b1c0d9e8f",
}


_NAMES: Final = {"string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),)}


class Samples:
    """Makes examples of the schemas among `components`."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components

    def sent(self, schema: Schema) -> Any:
        """A body as someone may send it: what is required, and what the samples have for this very struct."""
        return self._of(schema, "", "", sent=True)

    def answered(self, schema: Schema) -> Any:
        """A body as it is answered, with every field."""
        return self._of(schema, "", "", sent=False)

    def field(self, owner: str, name: str, schema: Schema) -> Any:
        """What a struct's field may hold; None if that cannot be told."""
        return self._of(schema, owner, name, sent=True)

    def _of(self, schema: Schema, owner: str, name: str, *, sent: bool) -> Any:
        for key in (f"{owner}.{name}", name):
            if key in _SAMPLES and self._fits(_SAMPLES[key], schema):
                return _SAMPLES[key]
        if "$ref" in schema:
            struct = schema["$ref"].removeprefix(_REF)
            return self._of(self._components[struct], struct, name, sent=sent)
        if "anyOf" in schema:
            told = next((each for each in schema["anyOf"] if "$ref" in each), None)
            return None if told is None or sent else self._of(told, owner, name, sent=sent)
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        return self._by_type(schema, owner, name, sent=sent)

    def _by_type(self, schema: Schema, owner: str, name: str, *, sent: bool) -> Any:
        match schema.get("type"):
            case "object" if "properties" in schema:
                wanted = schema["properties"].items()
                if sent:
                    required = schema.get("required", ())
                    wanted = [(key, of) for key, of in wanted if key in required or f"{owner}.{key}" in _SAMPLES]
                return {key: self._of(each, owner, key, sent=sent) for key, each in wanted}
            case "object":
                values = schema.get("additionalProperties")
                if not values or name not in _KEYS or values.get("$ref") == _REF + owner:  # the last: parts of parts
                    return {}
                return {_KEYS[name]: self._of(values, owner, name, sent=sent)}
            case "array":
                return [self._of(schema["items"], owner, name, sent=sent)] if "$ref" in schema.get("items", {}) else []
            case "integer" | "number":
                return schema.get("default", schema.get("minimum", 1))
            case "boolean":
                return schema.get("default", True)
            case _:
                return schema.get("default") or "contoh"

    def _fits(self, sample: Any, schema: Schema) -> bool:
        if "$ref" in schema:
            return self._fits(sample, self._components[schema["$ref"].removeprefix(_REF)])
        if "anyOf" in schema:
            return any(self._fits(sample, each) for each in schema["anyOf"])
        if "enum" in schema:
            return sample in schema["enum"]
        return type(sample) in _NAMES.get(schema.get("type", ""), ())
