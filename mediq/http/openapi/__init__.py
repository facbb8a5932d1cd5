"""The API as OpenAPI 3.1: made of the route table and its messages, so that it says what they do."""

from mediq.http.openapi.api import Api
from mediq.http.openapi.document import document

__all__ = ["Api", "document"]
