"""Calls the server's own HTTP API, which it has in addition to the AWS APIs."""

import json
import urllib.error
import urllib.request
from typing import Any

import click

from batch_engine.local.server.state import ServerRecord

_TIMEOUT_S = 30.0


def post(record: ServerRecord, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Sends a request and returns the answer.

    Args:
        record: the server.
        path: a path below ``/_batch-stack``.
        document: the request.

    Raises:
        ClickException: the server refuses the request (with its message), or does not answer.
    """
    body = json.dumps(document).encode()
    request = urllib.request.Request(f"{record.endpoint_url}{path}", body, method="POST")  # noqa: S310 - ours
    # Proxies in the user's environment must not receive requests to this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        raise click.ClickException(json.load(error)["message"]) from error
    except OSError as error:
        # A refused connection raises URLError, a missing answer raises TimeoutError.
        reason = getattr(error, "reason", error)
        raise click.ClickException(f"{record.endpoint_url} does not answer: {reason}") from error
