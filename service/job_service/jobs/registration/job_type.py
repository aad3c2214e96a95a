"""A job type: one handler, the payload that it takes, and the terms on which it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from job_service.errors import InvalidPayload
from job_service.failures.report import Report, describe, report, report_kind
from job_service.jobs.registration.context import JobContext
from job_service.jobs.registration.handler import awaited, kind_of, name_of, place_of
from job_service.jobs.registration.hooks import Hooks
from job_service.jobs.registration.limit_key import Per, check_per, limit_key_of
from job_service.jobs.registration.numbers import require_integer, require_seconds
from job_service.jobs.registration.payload import PayloadDecoder
from job_service.jobs.registration.placement import RunsIn, where_to_run
from job_service.jobs.registration.pydantic_models import written_to_be_read
from job_service.jobs.registration.rate import Rate
from job_service.jobs.registration.resource import RegisteredResource, ResourcePlace
from job_service.jobs.registration.retry import LONGEST_WAIT_SECONDS, Retry
from job_service.jobs.registration.signature import read_signature
from job_service.jobs.state.limits import NO_LIMITS, Limits
from job_service.json_text.huge_numbers import TOO_MANY_HUGE, has_too_many_huge
from job_service.json_text.lone_surrogates import what_is_wrong
from job_service.json_text.nesting import TOO_DEEP, is_too_deep

MAX_NAME_CHARS = 100

_NO_KEY = "its limit key can't be told; no more is told, because that is sensitive"
_MISFIT = "it is not what the job type takes; no more is told, because that is sensitive"


@dataclass(frozen=True, slots=True)
class JobType:
    """One registered handler and the terms on which it runs.

    `timeout` bounds each attempt, in seconds; None sets no bound. `absent_payload` is the JSON text
    that stands for a payload which was left out. `limits` hold for the jobs of this type, or of
    each key that `per` gives for a payload. If it is `sensitive`, nothing tells of its payloads and
    results but to those who may operate the service.

    `hooks` are those of its registry, and those with which that has included it.
    """

    name: str
    handler: Callable[..., Any]
    retry: Retry
    timeout: float | None
    runs_in: RunsIn
    payload_decoder: PayloadDecoder
    payload_parameter: str | None
    absent_payload: bytes
    context_parameter: str | None
    resource_parameters: tuple[str, ...]
    limits: Limits = NO_LIMITS
    per: Per | None = None
    sensitive: bool = False
    hooks: Hooks = Hooks()  # noqa: RUF009 (it is immutable)

    @property
    def needed_resources(self) -> set[str]:
        """Those that its handler takes, and its hooks."""
        return set(self.resource_parameters).union(
            *(hook.resources for hook in self.hooks.around),
            *(hook.resources for hook in self.hooks.on_failure),
        )

    def check_payload(self, payload: bytes) -> None:
        """Raise InvalidPayload if `payload`, JSON text, is not what the handler takes.

        Raises MemoryError, too: then nobody knows whether it is.
        """
        if is_too_deep(payload):
            raise InvalidPayload(TOO_DEEP)
        if has_too_many_huge(payload):
            raise InvalidPayload(TOO_MANY_HUGE)
        try:
            payload.decode()  # the decoder skips what its type does not name
            self.payload_decoder.decode(payload)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:
            if self.sensitive and not _quotes_nothing(error):
                raise InvalidPayload(_MISFIT) from None
            if isinstance(error, msgspec.DecodeError | UnicodeDecodeError):
                raise InvalidPayload(what_is_wrong(payload, error)) from error
            raise InvalidPayload(describe(error)) from error  # of a payload type that checks itself

    def limit_key(self, payload: bytes) -> str | None:
        """The key for which the limits of a job with this payload hold; None if it has none.

        The payload is one that `check_payload` has let pass. Of a sensitive one the key is a
        digest, because keys are shown. Raises InvalidPayload if `per` gives no key for it.
        """
        if self.per is None:
            return None
        try:
            key = limit_key_of(self.per, self.payload_decoder.decode(payload))
        except InvalidPayload:
            if self.sensitive:
                raise InvalidPayload(_NO_KEY) from None
            raise
        return blake2b(key.encode(), digest_size=16).hexdigest() if self.sensitive else key

    def arguments(
        self, payload: bytes, make_context: Callable[[], JobContext], resources: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The handler's arguments: a payload decoded anew, the context, and its resources."""
        arguments: dict[str, Any] = {}
        if self.payload_parameter is not None:
            arguments[self.payload_parameter] = self.payload_decoder.decode(payload)
        if self.context_parameter is not None:
            arguments[self.context_parameter] = make_context()
        if self.resource_parameters:
            arguments.update({name: resources[name] for name in self.resource_parameters})
        return arguments


def job_type_of(
    name: str,
    handler: Callable[..., Any],
    resources: Mapping[str, RegisteredResource],
    *,
    retry: Retry | None,
    timeout: float | None,
    concurrency: int | None,
    rate: Rate | None,
    per: Per | None,
    runs_in: RunsIn | None,
    sensitive: bool,
) -> JobType:
    """The job type of a handler, on terms that `check_terms` has let pass.

    Raises what `read_signature` and `where_to_run` do, and TypeError if the handler can't run there
    with what it takes, or takes no payload that `per` could look at.
    """
    signature = read_signature(handler, resources)
    place = where_to_run(handler, runs_in)
    for resource in signature.resources:
        _require_reachable(handler, place, resource, resources[resource].runs_in)
    if per is not None and signature.payload is None:
        raise TypeError(f"per has no payload to look at: {name_of(handler)} takes none")
    is_wrapper_on_loop = place == "loop" and kind_of(handler) == "wrapper"
    return JobType(
        name=name,
        handler=awaited(handler) if is_wrapper_on_loop else handler,
        retry=retry or Retry(),
        timeout=timeout,
        runs_in=place,
        payload_decoder=signature.decoder,
        payload_parameter=signature.payload,
        absent_payload=signature.absent,
        context_parameter=signature.context,
        resource_parameters=signature.resources,
        limits=_limits(concurrency, rate, is_per_key=per is not None),
        per=per,
        sensitive=sensitive,
    )


def _require_reachable(
    handler: Callable[..., Any], place: RunsIn, resource: str, resource_place: ResourcePlace
) -> None:
    """Raise TypeError if a handler that runs in `place` can't take this resource."""
    if resource_place == "process" and place != "process":
        problem = "it is opened in processes, and the handler runs in none"
    elif resource_place != "process" and place == "process":
        problem = 'in a process, it can take only those with runs_in="process"'
    elif resource_place == "asyncio" and place != "asyncio":
        problem = 'it lives on asyncio\'s loop, and only handlers with runs_in="asyncio" do, too'
    else:
        return
    raise TypeError(f"{name_of(handler)} can't take {resource}: {problem}{place_of(handler)}")


def _limits(concurrency: int | None, rate: Rate | None, *, is_per_key: bool) -> Limits:
    if rate is None:
        return Limits(concurrency, is_per_key=is_per_key)
    return Limits(concurrency, rate.starts, rate.per_seconds, is_per_key)


def check_terms(
    name: object,
    *,
    retry: object,
    timeout: object,
    concurrency: object,
    rate: object,
    per: object,
    sensitive: object,
) -> None:
    """Raise TypeError or ValueError if a job type can't have this name or these terms."""
    _check_name(name)
    if timeout is not None:
        require_seconds("timeout", timeout, LONGEST_WAIT_SECONDS)
    if concurrency is not None:
        require_integer("concurrency", concurrency, 1)
    if rate is not None and not isinstance(rate, Rate):
        raise TypeError(f"rate must be a Rate, such as Rate(100, per_seconds=60), not {rate!r}")
    check_per(per)
    if retry is not None and not isinstance(retry, Retry):
        raise TypeError(f"retry must be a Retry, such as Retry(max_retries=5), not {retry!r}")
    if not isinstance(sensitive, bool):
        raise TypeError(f"sensitive must be True or False, not {sensitive!r}")


def encode_payload(payload: object) -> bytes:
    """The payload as JSON text. Raises InvalidPayload if JSON can't carry it."""
    if type(payload) is msgspec.Raw:  # which is JSON text, as all that comes over HTTP
        return bytes(payload)
    try:
        return msgspec.json.encode(payload, enc_hook=written_to_be_read)
    except RecursionError as error:  # such as a list that holds itself
        raise InvalidPayload(TOO_DEEP) from error
    except (TypeError, ValueError) as error:
        raise InvalidPayload(f"it can't be written as JSON: {error}") from error


def teller_for(job_type: JobType) -> Callable[..., Report]:
    """What says all that may be said of an error of this type's jobs, as `report` does."""
    return report_kind if job_type.sensitive else report


def _quotes_nothing(error: BaseException) -> bool:
    """Whether a misfit is told in words of msgspec's that name types and fields, and no value."""
    is_of_msgspec = type(error) is msgspec.ValidationError and error.__cause__ is None
    return is_of_msgspec and str(error).startswith(("Expected ", "Object missing required field "))


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of a job type must be a str, not {name!r}")
    if not name:
        raise ValueError("a job type needs a name")
    if len(name) > MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"the name of a job type must have 1 to {MAX_NAME_CHARS} printable characters, and no "
            f"spaces at its ends, not {name[:MAX_NAME_CHARS]!r}"
        )
