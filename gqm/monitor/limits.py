"""What one request, one connection and one client may take: the numbers, in one place."""

from __future__ import annotations

MAX_BODY = 1_048_576
"""Bytes of a request body; it also bounds payloads that are enqueued over HTTP."""
MAX_HEAD = 32_768
"""Bytes of request line and header fields."""
MAX_FIELDS = 99
MAX_TARGET = 8192
"""Bytes of the target in the request line."""
RECEIVE_S = 10.0
"""Until a request must have arrived whole."""
ANSWER_S = 30.0
"""Until an answer must have been taken by the client."""
SLOW_S = 10.0
"""After so long without a piece taken, a stream is ended."""
STREAM_WRITE_S = 12.0
"""Until a piece of a stream must have been taken; then nothing more can be said to the client."""
IDLE_S = 5.0
"""How long a connection may wait for its next request."""
MAX_CONNECTIONS = 64
MAX_STREAMS = 16
"""Event streams, within the connections."""
REDIS_S = 2.0
"""Longest call to Redis."""
MAX_BUCKETS = 10_000
MAX_USERNAME = 64
MAX_PASSWORD = 256
"""Bytes of a password that is tried; bcrypt itself takes 72."""
PASSWORD_CHECKS = 4
"""Password checks at once."""
PASSWORD_WAIT_S = 2.0
GZIP_FROM = 4096
"""Bytes from which a JSON answer is compressed."""
SESSION_IDLE_S = 28_800
"""How long a session may be unused."""
