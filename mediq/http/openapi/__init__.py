"""The API as OpenAPI 3.1: made of the route table and its messages, so that it says what they do."""

from .api import Api
from .document import document

__all__ = ["Api", "document"]
