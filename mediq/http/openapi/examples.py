"""Examples of JSON bodies, made of their schemas. All people in them are fictitious.

A message declares an example with the type of a field: `Annotated[str, msgspec.Meta(examples=["SITI CONTOH"])]`. For
other fields the example is made to fit the type.
"""

from typing import Any, Final

from mediq.http.openapi.schemas import Schema, Schemas

_OF_FORMAT: Final = {"date": "2026-03-02", "date-time": "2026-03-02T08:55:12+07:00"}


class Examples:
    """Makes examples of `schemas`."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def request(self, schema: Schema) -> Any:
        """A value to send: the required fields, and the optional ones that have an example of their own.

        The example of an optional field must stand outside its union: `Annotated[str | None, msgspec.Meta(...)]`. In
        `Reason | None` an example that comes with the type `Reason` is not enough, so that requests stay short.
        """
        return self._value(schema, in_request=True)

    def response(self, schema: Schema) -> Any:
        """A body as MediQ answers it, with every field."""
        return self._value(schema, in_request=False)

    def _value(self, schema: Schema, *, in_request: bool) -> Any:
        if "examples" in schema:
            return schema["examples"][0]
        if "$ref" in schema:
            return self._value(self._schemas.resolve(schema), in_request=in_request)
        if "anyOf" in schema:
            options = [option for option in schema["anyOf"] if "$ref" in option or "examples" in option]
            return self._value(options[0], in_request=in_request) if options and not in_request else None
        if "enum" in schema:
            return schema["enum"][0]
        if "const" in schema:
            return schema["const"]
        return self._of_type(schema, in_request=in_request)

    def _of_type(self, schema: Schema, *, in_request: bool) -> Any:
        match schema.get("type"):
            case "object" if "properties" in schema:
                return {
                    name: self._value(field, in_request=in_request)
                    for name, field in schema["properties"].items()
                    if not in_request or name in schema.get("required", ()) or "examples" in field
                }
            case "object":
                keys = schema.get("propertyNames", {}).get("examples", [])
                return {key: self._value(schema["additionalProperties"], in_request=in_request) for key in keys}
            case "array":
                items = schema.get("items", {})
                return [self._value(items, in_request=in_request)] if "$ref" in items else []
            case "integer" | "number":
                return schema.get("default", schema.get("minimum", 1))
            case "boolean":
                return schema.get("default", True)
            case _:
                return _OF_FORMAT.get(schema.get("format", "")) or schema.get("default") or "contoh"
