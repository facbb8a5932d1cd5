"""The curl command that calls an operation, to copy from the page at `/docs`.

The commands use the variables `$URL`, `$ACCESS` and `$REFRESH`, which the page explains.
"""

import json
import shlex
from collections.abc import Iterable
from typing import Any


def curl_command(
    path: str,
    method: str,
    operation: dict[str, Any],
    parameters: Iterable[dict[str, Any]],
    media_type: str,
    body_example: Any,
) -> str:
    """The command for an operation, one option a line.

    `parameters` are those of the operation, with references resolved; their examples fill the path. `media_type` is
    that of the request body, empty if there is none.
    """
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    lines = [f"curl {'' if method == 'GET' else f'-X {method} '}$URL{path}", *_credentials(operation)]
    answered = operation["responses"].get("200", {}).get("content", {})
    if "text/event-stream" in answered:
        lines.append("-N")
    if "image/jpeg" in answered:
        lines.append("-o kartu.jpg")
    if media_type == "multipart/form-data":
        lines += ["-H 'Prefer: wait=20'", "-F ktp_image=@kartu.jpg"]
    elif body_example:
        lines += [f"-H 'Content-Type: {media_type}'", f"-d {shlex.quote(json.dumps(body_example))}"]
    return " \\\n  ".join(lines)


def _credentials(operation: dict[str, Any]) -> list[str]:
    if {"refresh": []} in operation["security"]:
        return ['-H "Authorization: Bearer $REFRESH"']
    if operation["operationId"].endswith(".cookie"):
        return ['-H "Origin: $URL"', "-b cookies -c cookies"]
    return ['-H "Authorization: Bearer $ACCESS"'] if "x-roles" in operation else []
