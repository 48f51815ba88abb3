"""What the ``local`` commands ask of a running server beside the AWS APIs."""

import json
import urllib.error
import urllib.request
from typing import Any

import click

from batch_engine.local.server.state import ServerRecord

_TIMEOUT_S = 30.0


def post(record: ServerRecord, path: str, document: dict[str, Any]) -> dict[str, Any]:
    """Send one request and read its answer.

    Args:
        record: the server.
        path: one of the server's own, below ``/_batch-stack``.
        document: the request.

    Raises:
        ClickException: the server refuses, in its own words, or does not answer.
    """
    body = json.dumps(document).encode()
    request = urllib.request.Request(f"{record.endpoint_url}{path}", body, method="POST")  # noqa: S310 - ours
    # A proxy from the user's environment has no part in this.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        raise click.ClickException(json.load(error)["message"]) from error
    except OSError as error:
        # A refused connection is a URLError, an answer that does not come is a TimeoutError.
        reason = getattr(error, "reason", error)
        raise click.ClickException(f"{record.endpoint_url} does not answer: {reason}") from error
