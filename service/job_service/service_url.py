"""Works out the URL at which a service with these settings can be called from its own machine."""

from typing import Final

from job_service.settings import Settings

_TO_ITSELF: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (the service listens there)


def service_url(settings: Settings) -> str:
    """Its Unix socket, or its host and port."""
    if settings.unix is not None:
        return f"unix:{settings.unix}"
    scheme = "http" if settings.certfile is None else "https"
    host = _TO_ITSELF.get(settings.host, settings.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{settings.port}"
