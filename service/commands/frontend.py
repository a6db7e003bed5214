"""`python -m service frontend`: the web page, until told to end."""

from __future__ import annotations

from collections.abc import Mapping

from service.api.server import Draining, serve
from service.core import logs, settings
from service.frontend.app import create_app


def run(environ: Mapping[str, str]) -> int:
    """0 when it was told to end, 1 when it could not start. Raises SettingsError."""
    found = settings.load(environ)
    logs.configure(found.log_level, "frontend")
    return serve(
        create_app(found.api_url, found.instance_id), host=found.frontend_host, port=found.frontend_port, draining=Draining()
    )
