"""JSON schemas of the types that the API sends and takes."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

Schema = dict[str, Any]

_PREFIX: Final = "#/components/schemas/"


class Schemas:
    """The schemas of `types`. A struct or an enum is a named component, and schemas refer to it by `$ref`."""

    def __init__(self, types: Iterable[Any]) -> None:
        types = list(types)
        schemas, self._components = msgspec.json.schema_components(types, ref_template=_PREFIX + "{name}")
        self._by_type = dict(zip(map(repr, types), schemas, strict=True))  # an annotated type may not be hashable

    def of(self, type_: Any) -> Schema:
        """The schema of a type.

        Raises:
            KeyError: `type_` is not one of the types.
        """
        return self._by_type[repr(type_)]

    def resolve(self, schema: Schema) -> Schema:
        """The component that a schema refers to, or the schema itself if it refers to none."""
        return self._components[name_of(schema)] if "$ref" in schema else schema

    def used_by(self, *trees: Any) -> dict[str, Schema]:
        """The components that these parts of a document refer to, directly or through each other, by name."""
        used: dict[str, Schema] = {}
        unread: list[Any] = list(trees)
        while unread:
            match unread.pop():
                case dict() as tree:
                    name = name_of(tree)
                    if name in self._components and name not in used:
                        used[name] = self._components[name]
                        unread.append(used[name])
                    unread.extend(tree.values())
                case list() as items:
                    unread.extend(items)
        return dict(sorted(used.items()))


def name_of(schema: Schema) -> str:
    """The name of the component that a schema refers to, or an empty text."""
    reference = str(schema.get("$ref", ""))
    return reference.removeprefix(_PREFIX) if reference.startswith(_PREFIX) else ""
