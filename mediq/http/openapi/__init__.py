"""The API as OpenAPI 3.1, generated from the route table and its messages so that the two cannot differ."""

from mediq.http.openapi.api_docs import ApiDocs
from mediq.http.openapi.document import document

__all__ = ["ApiDocs", "document"]
