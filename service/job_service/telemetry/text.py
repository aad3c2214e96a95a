"""Makes anything printable, whatever it is: what must be said must not fail in the saying."""


def printable(value: object) -> str:
    """`value` itself if it is text, else as Python would print it; always valid Unicode."""
    if isinstance(value, str):
        text = value
    else:
        try:
            text = repr(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
