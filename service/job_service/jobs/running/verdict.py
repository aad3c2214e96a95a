"""What becomes of a job after an attempt: each verdict is a change, which is not made here.

When there is more than one reason, the first of these decides: the service crashed, a client called
the job off, the handler asked for its end, it took too long, the service ends, the handler asked to
be called later, it failed.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import outcome
import trio

from job_service.failures.exception_groups import is_a, is_cancellation, without_cancellation
from job_service.failures.report import Report, report
from job_service.jobs.registration import handler
from job_service.jobs.registration.job_type import JobType, teller_for
from job_service.jobs.registration.outcome import Discard, Snooze, asked_for
from job_service.jobs.running.cancellation import CLEANUP_SECONDS
from job_service.jobs.running.hints import explain
from job_service.jobs.running.result import encode_result
from job_service.jobs.state.attempt_transitions import (
    complete,
    cut_short,
    fail,
    release,
    retry,
    snooze,
)
from job_service.jobs.state.changes import AttemptEnd
from job_service.jobs.state.clock import Clock
from job_service.jobs.state.kept_attempts import said_before
from job_service.jobs.state.model import Attempt, Job

# What stands between a worker and its handler, on the loop or in a thread: nobody looks for an
# error there.
_CALLERS: Final = tuple(
    str(Path(file).parent) + os.sep
    for file in (__file__, handler.__file__, trio.__file__, outcome.__file__)
)


class Verdicts:
    """Gives the verdicts of one engine. `stop_reason` says why it ends, if it does.

    `expect_failure` is told with which error a job is about to fail for good, for its hooks.

    If the store `keeps` the jobs beyond the engine, no job ends because the engine does.
    """

    def __init__(
        self,
        clock: Clock,
        stop_reason: Callable[[], str],
        expect_failure: Callable[[Job, BaseException], None],
        random_source: random.Random,
        *,
        keeps: bool,
    ) -> None:
        self._clock = clock
        self._keeps = keeps
        self._stop_reason = stop_reason
        self._expect_failure = expect_failure
        self._random_source = random_source

    def on_return(
        self, job: Job, attempt: Attempt, job_type: JobType, result: object
    ) -> AttemptEnd:
        """The handler returned."""
        try:
            text = encode_result(result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # Its work is done, and doing it again would not make its result any better.
            told = teller_for(job_type)(error, _CALLERS)
            told = told._replace(line=f"the result can't be written as JSON: {told.line}")
            return self._fail(job, attempt, told, error)
        return complete(job, attempt, text, self._clock)

    def on_error(
        self,
        job: Job,
        attempt: Attempt,
        job_type: JobType,
        error: BaseException,
        *,
        interruption: BaseException | None,
        interrupted: bool,
        stopping: bool,
    ) -> AttemptEnd:
        """The handler ended with `error`.

        `interruption` is what of the error must go on, `interrupted` says that the attempt itself
        was cancelled, by a client or its timeout, and `stopping` that its worker is.
        """
        told = _explained(without_cancellation(error), job_type)
        own_error = traceback = None  # which the handler has ended with, beside a cancellation
        if interruption is None or not is_cancellation(error):
            own_error, traceback = told
        clock = self._clock
        if interruption is not None and not is_cancellation(interruption):
            return self._give_up(job, attempt, "crashed", own_error, traceback)
        if interrupted and job.cancel_reason is not None:
            reason = job.cancel_reason
            return cut_short(job, attempt, "cancelled", reason, clock, own_error, traceback)
        asked = asked_for(error)
        if interrupted and asked is not None and is_a(asked, Discard):
            return self._fail(job, attempt, told, asked)
        if interrupted:
            message = f"the attempt took longer than {job_type.timeout} s"
            if own_error is not None:
                message += f", and ended with {own_error}"
            told = told._replace(line=f"TimeoutError: {message}")
            return self._retry_or_fail(job, attempt, job_type, told, TimeoutError(message))
        if stopping:
            return self._give_up(job, attempt, self._stop_reason(), own_error, traceback)
        if asked is None:
            return self._retry_or_fail(job, attempt, job_type, told, error)
        if is_a(asked, Snooze):
            return snooze(job, attempt, asked.seconds, clock)
        return self._fail(job, attempt, told, without_cancellation(error))

    def on_outlasting(self, job: Job, attempt: Attempt, job_type: JobType) -> AttemptEnd:
        """The attempt was interrupted, and its handler did not end within CLEANUP_SECONDS."""
        late = f"and did not end within {CLEANUP_SECONDS:.0f} s of that"
        if job.cancel_reason is not None:
            error = f"TimeoutError: it was cancelled, {late}"
            return cut_short(job, attempt, "cancelled", job.cancel_reason, self._clock, error)
        timeout = TimeoutError(f"the attempt took longer than {job_type.timeout} s, {late}")
        return self._retry_or_fail(job, attempt, job_type, report(timeout), timeout)

    def _give_up(
        self, job: Job, attempt: Attempt, reason: str, error: str | None, traceback: str | None
    ) -> AttemptEnd:
        """The engine ends before the attempt has."""
        if self._keeps:
            return release(job, attempt, reason, self._clock, error, traceback)
        return cut_short(job, attempt, "abandoned", reason, self._clock, error, traceback)

    def _retry_or_fail(
        self, job: Job, attempt: Attempt, job_type: JobType, told: Report, reason: BaseException
    ) -> AttemptEnd:
        message, traceback = told
        if job.retries < job.max_retries and job_type.retry.is_worth(reason):
            delay, problem = job_type.retry.delay_after(
                reason, job.retries + 1, self._random_source
            )
            if problem is not None:
                message += f"; {problem.partition(':')[0] if job_type.sensitive else problem}"
            message = said_before(message, job.attempts)
            return retry(job, attempt, message, traceback, delay, self._clock)
        return self._fail(job, attempt, Report(message, traceback), without_cancellation(reason))

    def _fail(self, job: Job, attempt: Attempt, told: Report, reason: BaseException) -> AttemptEnd:
        end = fail(job, attempt, *told, self._clock)
        self._expect_failure(job, reason)
        return end


def _explained(error: BaseException, job_type: JobType) -> Report:
    told = teller_for(job_type)(error, _CALLERS)
    return told._replace(line=explain(error, told.line))
