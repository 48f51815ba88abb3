"""Who may use the endpoint: programs, and pages of this machine."""

import pytest

from batch_engine.local.api.browser_guard import refusal


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:4566"},
        {"Host": "localhost:4566"},
        {"host": "bucket.s3.localhost:4566"},
        {"host": "[::1]:4566"},
        {"host": "127.0.0.1:1", "origin": "http://localhost:3000", "sec-fetch-site": "same-site"},
    ],
)
def test_served(headers):
    assert refusal([(name.encode(), value.encode()) for name, value in headers.items()]) is None


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"host": "evil.example.com"}, "not to evil.example.com"),
        ({"host": "127.0.0.1.evil.example.com"}, "127.0.0.1.evil.example.com"),
        ({"host": "127.0.0.1:1", "Origin": "http://evil.example.com"}, "pages of http://evil.example.com"),
        ({"host": "127.0.0.1:1", "origin": "null"}, "pages of null"),
        ({"host": "127.0.0.1:1", "Sec-Fetch-Site": "cross-site"}, "other sites"),
        ({"host": "[bad"}, "[bad"),
    ],
)
def test_refused(headers, words):
    answer = refusal([(name.encode(), value.encode()) for name, value in headers.items()])
    assert answer is not None
    assert words in answer
