"""What people see in a browser: templates, scripts, styles and words, and the routes that serve them."""

from .site import Pages

__all__ = ["Pages"]
