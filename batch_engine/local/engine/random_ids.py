"""Ids of jobs and resources, from the system's random numbers."""

import secrets

RANDOM_BYTES = 2048
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class RandomIds:
    """Makes ids that no two runs share. It is not safe for threads: the engine's lock guards it."""

    def __init__(self) -> None:
        self._digits, self._used = "", 0

    def uuid(self) -> str:
        """Returns a new UUID."""
        x = self.hex(31)
        return f"{x[:8]}-{x[8:12]}-4{x[12:15]}-{_VARIANTS[x[15]]}{x[16:19]}-{x[19:]}"

    def hex(self, length: int) -> str:
        """Returns new lower-case hexadecimal digits."""
        if self._used + length > len(self._digits):
            # One call for many digits: a job needs three ids, and the call costs more than they do.
            self._digits, self._used = secrets.token_hex(max(length, RANDOM_BYTES)), 0
        start, self._used = self._used, self._used + length
        return self._digits[start : self._used]
