"""Static files (scripts, styles, pictures, sounds): read once, kept in memory, and cached by browsers for a year.

An address holds the version of all files together, such as `/static/<version>/board.js`. Scripts import each other by
relative addresses, so they are always of one version, and a browser asks for each file once a version.
"""

import gzip
import hashlib
import re
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

_TYPES: Final = {
    ".css": "text/css",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}
_COMPRESSIBLE: Final = frozenset({".css", ".js", ".json", ".svg"})
_FOREVER: Final = "public, max-age=31536000, immutable"
_VERSION_LENGTH: Final = 12
_IMPORT: Final = re.compile(r'^(?:import|\}) .*"\./([a-z-]+\.js)";$', re.MULTILINE)


class _Asset(msgspec.Struct, frozen=True):
    content_type: str
    etag: str
    plain: bytes
    compressed: bytes | None


class Assets:
    """The files below `folder`.

    Raises:
        KeyError: a file has an extension that is not served.
    """

    def __init__(self, folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        self._assets = {path.relative_to(folder).as_posix(): _read(path) for path in files}
        contents = "".join(f"{name} {asset.etag}" for name, asset in self._assets.items())
        self.version = hashlib.sha256(contents.encode()).hexdigest()[:_VERSION_LENGTH]

    def address(self, name: str) -> str:
        """The address of the file or folder of that name.

        Raises:
            KeyError: there is no such file or folder.
        """
        if name not in self._assets and not any(each.startswith(f"{name}/") for each in self._assets):
            raise KeyError(f"there is no static file {name}")
        return f"/static/{self.version}/{name}"

    def imports(self, script: str) -> list[str]:
        """The names of all scripts that a script imports, directly or through another, each once."""
        found: list[str] = []
        unread = [script]
        while unread:
            text = self._assets[unread.pop()].plain.decode()
            new = [name for name in _IMPORT.findall(text) if name not in found and name != script]
            found += new
            unread += new
        return found

    async def serve(self, request: web.Request) -> web.Response:
        """The file that the address names.

        An address of another version gets the present file, and the browser must ask again the next time.
        """
        version, _, name = request.match_info["path"].partition("/")
        current = version == self.version
        if not (current or (len(version) == _VERSION_LENGTH and name in self._assets)):
            name = request.match_info["path"]
        asset = self._assets.get(name)
        if asset is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": _FOREVER if current else "no-cache", "ETag": asset.etag, "Vary": "Accept-Encoding"}
        if asset.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        body = asset.plain
        if asset.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            body, headers["Content-Encoding"] = asset.compressed, "gzip"
        charset = None if asset.compressed is None else "utf-8"
        return web.Response(body=body, headers=headers, content_type=asset.content_type, charset=charset)


def _read(path: Path) -> _Asset:
    data = path.read_bytes()
    compressed = gzip.compress(data, mtime=0) if path.suffix in _COMPRESSIBLE else None
    return _Asset(_TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"', data, compressed)
