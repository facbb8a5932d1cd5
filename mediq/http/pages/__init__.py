"""What people see in a browser: templates, scripts, styles and words, and the routes that serve them."""

from mediq.http.pages.site import Pages

__all__ = ["Pages"]
