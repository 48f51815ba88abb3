"""Pages of a listing: each token names the key behind which the next page starts.

A token names its listing and the key of the last item shown. Keys never change, and things that are created
or deleted between two pages move nothing else.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from batch_engine.core.model.errors import ClientError
from batch_engine.core.model.wire import Wire

MAX_RESULTS = 100
MAX_TOKEN_LENGTH = 4096

Key = Sequence[int | str]
T = TypeVar("T")


def write_token(listing: str, key: Key) -> str:
    """Returns the token of the page behind ``key``."""
    return base64.urlsafe_b64encode(json.dumps([listing, *key]).encode()).decode()


def read_token(request: Wire, listing: str, *kinds: type) -> list[int | str] | None:
    """Returns the key behind which a page starts; None for the first page.

    Args:
        request: the request, with or without a ``nextToken``.
        listing: the name of the listing for which the token must have been made.
        kinds: the types of the key's parts.

    Raises:
        ClientError: the token was not made for this listing.
    """
    token = request.get("nextToken")
    if token is None:
        return None
    try:
        parts = json.loads(base64.b64decode(token[:MAX_TOKEN_LENGTH].encode(), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _foreign(token) from None
    if not isinstance(parts, list) or parts[:1] != [listing]:
        raise _foreign(token)
    if [type(part) for part in parts[1:]] != [*kinds]:
        raise _foreign(token)
    return parts[1:]


def _foreign(token: str) -> ClientError:
    return ClientError(f"nextToken is not one that was returned: {token[:64]}")


def page(
    items: Iterable[T],
    request: Wire,
    *,
    member: str,
    by: Callable[[T], Key],
    show: Callable[[T], Wire],
    kinds: tuple[type, ...] = (int,),
) -> Wire:
    """Returns one page of a listing, with a ``nextToken`` unless it is the last one.

    Args:
        items: all items, in any order.
        request: the request as on the wire.
        member: the member of the answer that holds the page.
        by: returns the key that orders an item; keys are unique and never change.
        show: returns an item as on the wire.
        kinds: the types of the key's parts.

    Raises:
        ClientError: the page size is out of range, or the token was not made for this listing.
    """
    size = request.get("maxResults", MAX_RESULTS)
    if not 1 <= size <= MAX_RESULTS:
        raise ClientError(f"maxResults must be between 1 and {MAX_RESULTS}, got {size}")
    keyed = sorted(((tuple(by(item)), item) for item in items), key=lambda pair: pair[0])
    after = read_token(request, member, *kinds)
    if after is not None:
        keyed = [pair for pair in keyed if pair[0] > tuple(after)]
    result: Wire = {member: [show(item) for _, item in keyed[:size]]}
    if len(keyed) > size:
        result["nextToken"] = write_token(member, keyed[size - 1][0])
    return result


def whole(items: Iterable[Wire], request: Wire, *, member: str) -> Wire:
    """Returns the answer to a request with names: one page, in the order of the names.

    Raises:
        ClientError: the request has a token, although answers to such requests have none.
    """
    read_token(request, f"{member} by name")
    return {member: list(items)}
