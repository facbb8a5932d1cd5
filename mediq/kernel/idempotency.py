"""Keys under which a request may be repeated without happening twice.

Whoever may have to repeat a request gives it a key; whoever carries it out stores the key in the same write as the
outcome, and answers a repetition with the first answer.
"""


def derive(origin: str, step: str) -> str:
    """The key of one step of a larger undertaking, such as `derive(job.id, "add-patient")`.

    The same origin and step always give the same key, so an undertaking that is resumed after a crash repeats its
    steps under the keys that it used before.
    """
    return f"{origin}:{step}"
