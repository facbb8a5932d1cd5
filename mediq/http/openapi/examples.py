"""Examples of JSON bodies, made of their schemas. All people in them are fictitious.

A message declares an example with the type of a field: `Annotated[str, msgspec.Meta(examples=["SITI CONTOH"])]`. For
other fields the example comes from the table of the queue's fields below, or is made to fit the type.
"""

from typing import Any, Final

from mediq.http.openapi.schemas import Schema, Schemas, name_of

_OF_FORMAT: Final = {"date": "2026-03-02", "date-time": "2026-03-02T08:55:12+07:00"}
_OF_QUEUE: Final[dict[str, Any]] = {
    "user_id": "0d8e6a5c4b3f4a2e9c1d7f6e5b4a3c2d",
    "id": "5b0f2f6c9d1e4f0e8a7c3b2d1f0e9a8b",
    "token": "q3VbX0n9T1yKc7dLw2ZfRg",
    "number": "A-012",
    "service": "umum",
    "counter": "1",
    "counter_name": "Loket 1",
    "name": "Klinik Contoh",
    "timezone": "Asia/Jakarta",
    "letter": "A",
    "opens": "07:30:00",
    "closes": "14:00:00",
    "revision": "5f0c1d2e3a4b5c6d",
    "notice": "Siapkan e-KTP dan kartu BPJS Anda.",
    "why": "diminta pasien",
    "status": "WAITING",
    "priority": "NORMAL",
    "position": 3,
    "people_ahead": 2,
    "low_minutes": 8,
    "high_minutes": 20,
    "TicketView.counter": None,
    "StaffTicket.counter": None,
    "BoardCounter.status": "CALLED",
    "Service.id": "umum",
    "Service.name": "Poli Umum",
    "OfferedService.id": "umum",
    "OfferedService.name": "Poli Umum",
    "Counter.id": "1",
    "Counter.name": "Loket 1",
    "StaffedCounter.id": "1",
    "StaffedCounter.name": "Loket 1",
    "Prioritise.priority": "HIGH",
    "Prioritise.priority_reason": "hamil",
    "Transfer.service": "gigi",
    "tickets": 42,
    "steps": 42,
    "count": 42,
    "p50": 7.5,
    "p90": 18.0,
    "no_show_rate": 0.05,
}
"""By the field's name, or by its struct's name and its own. Only the latter show an optional field in a request."""
_KEYS_OF_STATISTICS: Final = {
    "by_status": "COMPLETED",
    "by_priority": "NORMAL",
    "by_day": "2026-03-02",
    "by_hour": "08",
    "by_service": "umum",
    "by_counter": "1",
    "by_operator": "7c1d0e9f8a7b4c6d5e4f3a2b1c0d9e8f",
}
_PYTHON_TYPES: Final = {"string": str, "integer": int, "number": int | float, "boolean": bool, "null": type(None)}


class Examples:
    """Makes examples of `schemas`."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def request(self, schema: Schema) -> Any:
        """A body to send: the required fields, and the optional ones that have an example of their own."""
        return self._value(schema, "", "", in_request=True)

    def response(self, schema: Schema) -> Any:
        """A body as MediQ answers it, with every field."""
        return self._value(schema, "", "", in_request=False)

    def field(self, owner: str, name: str, schema: Schema) -> Any:
        """A value for the field `name` of the struct `owner`."""
        return self._value(schema, owner, name, in_request=True)

    def _value(self, schema: Schema, owner: str, name: str, *, in_request: bool) -> Any:
        if "examples" in schema:
            return schema["examples"][0]
        for key in (f"{owner}.{name}", name):
            if key in _OF_QUEUE and self._fits(_OF_QUEUE[key], schema):
                return _OF_QUEUE[key]
        if "$ref" in schema:
            return self._value(self._schemas.resolve(schema), name_of(schema), name, in_request=in_request)
        if "anyOf" in schema:
            options = [option for option in schema["anyOf"] if "$ref" in option or "examples" in option]
            return self._value(options[0], owner, name, in_request=in_request) if options and not in_request else None
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        return self._of_type(schema, owner, name, in_request=in_request)

    def _of_type(self, schema: Schema, owner: str, name: str, *, in_request: bool) -> Any:
        match schema.get("type"):
            case "object" if "properties" in schema:
                return {
                    key: self._value(field, owner, key, in_request=in_request)
                    for key, field in schema["properties"].items()
                    if not in_request or key in schema.get("required", ()) or self._shown(owner, key, field)
                }
            case "object":
                values = schema.get("additionalProperties")
                if not values or name not in _KEYS_OF_STATISTICS:
                    return {}
                return {_KEYS_OF_STATISTICS[name]: self._value(values, owner, name, in_request=in_request)}
            case "array":
                items = schema.get("items", {})
                return [self._value(items, owner, name, in_request=in_request)] if "$ref" in items else []
            case "integer" | "number":
                return schema.get("default", schema.get("minimum", 1))
            case "boolean":
                return schema.get("default", True)
            case _:
                return _OF_FORMAT.get(schema.get("format", "")) or schema.get("default") or "contoh"

    def _shown(self, owner: str, name: str, schema: Schema) -> bool:
        """Whether a request shows this optional field. An example that belongs to its type alone is not enough."""
        return "examples" in schema or f"{owner}.{name}" in _OF_QUEUE

    def _fits(self, value: Any, schema: Schema) -> bool:
        schema = self._schemas.resolve(schema)
        if "anyOf" in schema:
            return any(self._fits(value, option) for option in schema["anyOf"])
        if "enum" in schema:
            return value in schema["enum"]
        return "type" in schema and schema["type"] in _PYTHON_TYPES and isinstance(value, _PYTHON_TYPES[schema["type"]])
