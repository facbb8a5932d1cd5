"""The container's health check: exits 0 while `/ready` answers 200 on PORT (default: the gateway's)."""

import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 3001}/ready"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignores http_proxy
    try:
        with direct.open(url, timeout=4):
            return 0
    except (OSError, urllib.error.URLError) as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
