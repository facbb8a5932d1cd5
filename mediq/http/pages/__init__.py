"""What people see in a browser: templates, scripts, styles and words, and the routes that serve them."""

from mediq.http.pages.web_pages import WebPages

__all__ = ["WebPages"]
