"""hts launchpad notify-test: try whether messages arrive."""

from __future__ import annotations

from hts_battery.cli import formatting
from hts_battery.cli.opening import get_settings
from hts_battery.cli.options import AsJson
from hts_battery.errors import ConfigurationError, SubmissionError


def notify_test(as_json: AsJson = False) -> None:
    """Send a test message to every address of notify_urls."""
    from hts_battery.connections.notifications import notify
    from hts_battery.connections.processes import host_name
    from hts_battery.schemas.alert import Alert, AlertKind

    urls = get_settings().notify_urls
    if not urls:
        raise ConfigurationError(
            "no address is set: HTS_BATTERY_NOTIFY_URLS='mailto://USER:PASSWORD@HOST'"
        )
    failed = notify(
        [
            Alert(
                kind=AlertKind.TEST,
                title="hts_battery: test",
                body=f"Messages from {host_name()} arrive here.",
            )
        ],
        urls,
    )
    if as_json:
        formatting.json_line({"addresses": len(urls), "failed": failed})
    if failed:
        raise SubmissionError(f"{failed} of {len(urls)} addresses could not be reached")
    if not as_json:
        formatting.line(f"sent to {len(urls)} addresses")
