"""Reads the body of the present request, within its bounds."""

from http import HTTPStatus

from quart import request

from service.web.problems import Problem


async def read_body(max_bytes: int) -> bytes:
    """The whole body. Raises Problem, 413, where it has more than `max_bytes`."""
    body: bytes = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    if len(body) > max_bytes:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {max_bytes} bytes at most"
        )
    return body
