"""The container's health: exit 0 while MediQ in this container answers that it is ready, on PORT or the gateway's."""

import os
import sys
import urllib.error
import urllib.request


def main() -> int:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 3001}/ready"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment is not asked
    try:
        with direct.open(url, timeout=4):
            return 0
    except (OSError, urllib.error.URLError) as error:
        print(f"{url}: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
