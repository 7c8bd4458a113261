"""
Ask an advisory service for known vulnerabilities of the pinned packages.

A finding ends with exit status 1 and pip-audit's table. Where the service cannot be
reached, one line says so and the exit status is 0: nothing was audited. With
``--required``, for a CI that reaches it, the exit status is then 1.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

SERVICE = "https://api.osv.dev/v1/query"
SECONDS = 10


def why_not(service: str) -> str | None:
    """Say why a service of OSV's kind does not answer; nothing if it does."""
    asked = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "26.0"}
    request = Request(service, json.dumps(asked).encode(), method="POST")  # noqa: S310 - the operator's own
    try:
        with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - likewise
            json.load(answer)
    except HTTPError as err:
        return f"status {err.code}"
    except URLError as err:
        return str(err.reason)
    except (OSError, ValueError) as err:
        return str(err) or type(err).__name__
    return None


def main() -> int:
    """Read the options, ask, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirement", default="constraints.txt")
    parser.add_argument("--service", default=SERVICE)
    parser.add_argument(
        "--required", action="store_true", help="fail where nobody can be asked"
    )
    options = parser.parse_args()
    reason = why_not(options.service)
    if reason is not None:
        sys.stdout.write(
            f"audit: {options.service} cannot be reached ({reason}): NOT audited\n"
        )
        return int(options.required)
    command = [sys.executable, "-m", "pip_audit", "--requirement", options.requirement]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command += ["--vulnerability-service", "osv", "--osv-url", options.service]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own words


if __name__ == "__main__":
    sys.exit(main())
