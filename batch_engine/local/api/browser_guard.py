"""Keeps web pages out: a browser on this machine can reach 127.0.0.1 from every page that it shows.

Only browsers send ``Origin`` and ``Sec-Fetch-Site``. A page under a foreign name, or under a name that was
made to resolve to this machine, must not create a function or a job here and so run code. Pages served from
this machine itself may ask.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit


def refusal(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Returns the reason why a request is refused, or None.

    Args:
        headers: names and values, as ASGI gives them.
    """
    for name, value in headers:
        text = value.decode("latin-1")
        match name.lower():
            case b"host" if not _is_loopback(f"//{text}"):
                return f"this endpoint answers to 127.0.0.1 and localhost only, not to {text}"
            case b"origin" if not _is_loopback(text):
                return f"pages of {text} may not use this endpoint"
            case b"sec-fetch-site" if text == "cross-site":
                return "pages of other sites may not use this endpoint"
    return None


def _is_loopback(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    # Buckets and APIs may come as names below localhost, which resolve to this machine and nowhere else.
    return host is not None and (host in ("127.0.0.1", "localhost", "::1") or host.endswith(".localhost"))
