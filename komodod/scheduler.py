"""When things are due: cron times, and duties that run again and again. The only importer of APScheduler.

APScheduler's own interval and cron triggers count up from the last run, so a wall clock that was set back stops them for
as long, and one that was set far forward makes them count through every run missed. The triggers here look at the clock.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from komodod import cron as crons

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from komodod.clock import Clock

    Job = Callable[[], Awaitable[None]]

LOOK: Final = 10.0
"""Seconds between two looks at whether somebody set the wall clock."""

_INSTANT: Final = timedelta(microseconds=1)
_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class Interval(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """Every so many seconds; what was missed is made up for by one run."""

    def __init__(self, seconds: float) -> None:
        self.every = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        """Return the next instant: one interval after `previous`, but at most one interval from `now`."""
        regular = now if previous is None else previous + self.every
        return regular if now < regular <= now + self.every else now + self.every


class CronTimes(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """The instants of a cron expression.

    In the hour that a time zone skips, what falls into it runs once, an hour later by the wall clock; in the hour that
    it repeats, it runs twice.
    """

    def __init__(self, cron: crons.Cron) -> None:
        every_day, every_weekday = tuple(range(1, 32)), tuple(range(7))
        if cron.either:
            self._triggers = [_trigger(cron, cron.days, every_weekday), _trigger(cron, every_day, cron.weekdays)]
        else:
            self._triggers = [_trigger(cron, cron.days, cron.weekdays)]

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first instant after `now`, in UTC; None if there is none before the year 10000."""
        times = [trigger.get_next_fire_time(None, now + _INSTANT) for trigger in self._triggers]
        return min((time.astimezone(UTC) for time in times if time is not None), default=None)


def _trigger(cron: crons.Cron, days: Sequence[int], weekdays: Sequence[int]) -> CronTrigger:
    return CronTrigger(
        minute=_listed(cron.minutes),
        hour=_listed(cron.hours),
        day=_listed(days),
        month=_listed(cron.months),
        day_of_week=_listed([_WEEKDAYS[day] for day in weekdays]),
        timezone=cron.zone,
    )


def _listed(values: Sequence[object]) -> str:
    return ",".join(str(value) for value in values)


@lru_cache(maxsize=1024)
def parse_cron(cron: str, timezone: str | None = None) -> CronTimes:
    """Return the instants of a cron expression (see `komodod.cron.parse`) by the wall clock of a time zone.

    Raises:
        ValueError: the expression or the time zone is not valid, or no date ever fits.
    """
    return CronTimes(crons.parse(cron, timezone))


def next_cron(cron: str, timezone: str | None, after: datetime) -> datetime | None:
    """Return the first instant of the expression after `after`, in UTC; None if none comes.

    Raises:
        ValueError: as `parse_cron`.
    """
    return parse_cron(cron, timezone).get_next_fire_time(None, after)


class Scheduler:
    """Runs named duties, each never twice at a time; a run that was missed is made up for once, however late."""

    def __init__(self, clock: Clock, log: FilteringBoundLogger) -> None:
        self._clock, self._log = clock, log
        self._running: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        defaults = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)

    def every(self, name: str, seconds: float, job: Job) -> None:
        """Run the duty `name` every so many seconds, first when these have passed."""
        self._add(name, Interval(seconds), job)

    def cron(self, name: str, expression: str, timezone: str | None, job: Job) -> None:
        """Run the duty `name` at the times of a cron expression.

        Raises:
            ValueError: as `parse_cron`.
        """
        self._add(name, parse_cron(expression, timezone), job)

    def reschedule(
        self, name: str, *, seconds: float | None = None, cron: str | None = None, timezone: str | None = None
    ) -> None:
        """Run the duty `name` every `seconds` from now on, or by `cron`.

        Raises:
            LookupError: there is no such duty.
            ValueError: as `parse_cron`, or neither or both are given.
        """
        if (seconds is None) == (cron is None):
            raise ValueError(f"{name!r} runs either every so many seconds or by cron")
        trigger = parse_cron(cron, timezone) if cron is not None else Interval(seconds or 0.0)
        self._scheduler.reschedule_job(name, trigger=trigger)

    def next_run(self, name: str) -> datetime | None:
        """Return when the duty is due next, in UTC; None if it is not known or the scheduler does not run."""
        job = self._scheduler.get_job(name)
        due: datetime | None = getattr(job, "next_run_time", None)
        return due and due.astimezone(UTC)

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()
        self._watch = asyncio.get_running_loop().create_task(self._look(), name="scheduler-look")

    async def stop(self) -> None:
        """Start nothing more, cancel what is running and wait until it has ended."""
        if self._watch is None:
            return
        self._stopping = True
        self._scheduler.pause()
        self._watch.cancel()
        # Meanwhile what APScheduler has already submitted begins, and sees that we are stopping.
        await asyncio.gather(self._watch, return_exceptions=True)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # it shuts down in the loop's next turn

    def align(self) -> None:
        """Bring forward what waits for longer than it should, because the wall clock was set back; run what is due."""
        now = self._clock.now()
        for job in self._scheduler.get_jobs():
            due = job.trigger.get_next_fire_time(None, now)
            if due is not None and job.next_run_time > due:
                self._log.info("clock_set_back", duty=job.id, due=job.next_run_time.isoformat(), now=now.isoformat())
                job.modify(next_run_time=due)
        self._scheduler.wakeup()

    def _add(self, name: str, trigger: BaseTrigger, job: Job) -> None:
        self._scheduler.add_job(self._run, trigger, (name, job), id=name, name=name)

    async def _run(self, name: str, job: Job) -> None:
        task = asyncio.current_task()
        if task is None or self._stopping:
            return
        self._running.add(task)
        try:
            await job()
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        except Exception:  # noqa: BLE001  a duty that failed is due again at its next time
            self._log.exception("duty_failed", duty=name)
        finally:
            self._running.discard(task)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self.align()
