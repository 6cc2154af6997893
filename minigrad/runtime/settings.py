"""Settings from the environment. Each is read when it is first needed, never by an import."""

import os


def setting(name: str, *allowed: str) -> str:
    """Return the value of an environment variable, in lower case; if it is unset, the first of the allowed values.

    Raises:
        ValueError: if the value is not allowed.

    >>> setting("MINIGRAD_NO_SUCH_SETTING", "slow", "fast")
    'slow'
    """
    value = os.environ.get(name, "").strip().lower() or allowed[0]
    if value not in allowed:
        raise ValueError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}")
    return value
