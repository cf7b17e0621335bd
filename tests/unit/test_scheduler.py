from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from komodod.scheduler import Scheduler, next_cron, parse_cron
from komodod.testing.simulation import SimulatedClock, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

THURSDAY = datetime(2026, 1, 1, tzinfo=UTC)


def times(cron: str, count: int, after: datetime = THURSDAY, timezone: str = "UTC") -> list[str]:
    found: list[str] = []
    for _ in range(count):
        following = next_cron(cron, timezone, after)
        assert following is not None
        found.append(f"{following:%a %d %b %H:%M}")
        after = following
    return found


# --- cron expressions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("0", ["Sun 04", "Sun 11"]),
        ("7", ["Sun 04", "Sun 11"]),
        ("1", ["Mon 05", "Mon 12"]),
        ("6", ["Sat 03", "Sat 10"]),
        ("sun", ["Sun 04", "Sun 11"]),
        ("5-7", ["Fri 02", "Sat 03", "Sun 04", "Fri 09"]),
        ("0-1", ["Sun 04", "Mon 05", "Sun 11"]),
        ("sat-sun", ["Sat 03", "Sun 04", "Sat 10"]),
        ("MON-FRI", ["Fri 02", "Mon 05", "Tue 06"]),
        ("mon-fri/2", ["Fri 02", "Mon 05", "Wed 07", "Fri 09"]),
        ("1-5/2", ["Fri 02", "Mon 05", "Wed 07", "Fri 09"]),
        ("*/2", ["Sat 03", "Sun 04", "Tue 06", "Thu 08"]),
        ("*/6", ["Sat 03", "Sun 04", "Sat 10"]),
        ("5/2", ["Fri 02", "Sun 04", "Fri 09"]),
        ("0,7", ["Sun 04", "Sun 11"]),
    ],
)
def test_weekdays_count_as_in_cron(weekday: str, days: list[str]) -> None:
    assert [time[:6] for time in times(f"0 0 * * {weekday}", len(days))] == days


def test_a_day_of_the_month_or_a_weekday_is_enough_where_both_are_given() -> None:
    assert times("0 6 13 * fri", 4) == ["Fri 02 Jan 06:00", "Fri 09 Jan 06:00", "Tue 13 Jan 06:00", "Fri 16 Jan 06:00"]


def test_a_field_with_a_star_restricts_the_other() -> None:
    assert times("0 6 */2 * fri", 3) == ["Fri 09 Jan 06:00", "Fri 23 Jan 06:00", "Fri 13 Feb 06:00"]


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("*/20 * * * *", ["Thu 01 Jan 00:20", "Thu 01 Jan 00:40", "Thu 01 Jan 01:00"]),
        ("15,45 8-18/5 * * *", ["Thu 01 Jan 08:15", "Thu 01 Jan 08:45", "Thu 01 Jan 13:15"]),
        ("0 0 31 * *", ["Sat 31 Jan 00:00", "Tue 31 Mar 00:00"]),
        ("0 0 1 feb,OCT-dec *", ["Sun 01 Feb 00:00", "Thu 01 Oct 00:00", "Sun 01 Nov 00:00"]),
        ("0 0 29 2 *", ["Tue 29 Feb 00:00"]),
    ],
)
def test_fields_take_lists_ranges_steps_and_names(cron: str, expected: list[str]) -> None:
    assert times(cron, len(expected)) == expected


def test_the_next_time_is_later_than_the_instant_it_is_asked_for() -> None:
    assert next_cron("0 * * * *", "UTC", THURSDAY) == THURSDAY + timedelta(hours=1)


def test_times_are_those_of_the_zones_wall_clock() -> None:
    assert next_cron("0 4 * * *", "Europe/Berlin", THURSDAY) == THURSDAY + timedelta(hours=3)


def test_without_a_zone_the_systems_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    parse_cron.cache_clear()
    assert next_cron("1 4 * * *", None, THURSDAY) == THURSDAY + timedelta(hours=9, minutes=1)
    parse_cron.cache_clear()


def test_what_falls_into_the_hour_that_a_zone_skips_runs_once() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC)
    assert times("30 2 * * *", 2, before, "Europe/Berlin") == ["Sun 29 Mar 01:30", "Mon 30 Mar 00:30"]


@pytest.mark.parametrize(
    ("cron", "complaint"),
    [
        ("* * * *", "has 4 fields"),
        ("0 0 * * * *", "has 6 fields"),
        ("@daily", "has 1 fields"),
        ("60 * * * *", "minute '60' is no number from 0 to 59"),
        ("* 24 * * *", "hour '24'"),
        ("* * 0 * *", "day '0' is no number from 1 to 31"),
        ("* * * 13 *", "month '13' is no number from 1 to 12 or one of jan to dec"),
        ("* * * * 8", "weekday '8'"),
        ("* * * * monday", "weekday 'monday'"),
        ("* * L * *", "day 'L'"),
        ("1,,2 * * * *", "minute ''"),
        ("-1 * * * *", "minute ''"),
        ("٣ * * * *", "minute '٣'"),
        ("*/0 * * * *", "step '0'"),
        ("*/ * * * *", "step ''"),
        ("30-10 * * * *", "minute '30-10' ends before it begins"),
        ("* * * * fri-mon", "weekday 'fri-mon' ends before it begins"),
        ("0 0 31 2,4 *", "never comes: none of its months has a day 31"),
    ],
)
def test_a_wrong_expression_is_refused_with_the_field_at_fault(cron: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*" + complaint):
        parse_cron(cron, "UTC")


@pytest.mark.parametrize("zone", ["Europe/Berlim", "", "../etc/passwd", "/etc/localtime", "Europe", "a\0b"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        parse_cron("* * * * *", zone)


# --- duties ----------------------------------------------------------------------------------------------------------


class Subject:
    """A scheduler on simulated time, and what it ran when (monotonic seconds)."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(THURSDAY)
        self.log = structlog.testing.CapturingLogger()
        self.scheduler = Scheduler(self.clock, self.log)
        self.runs: list[float] = []

    async def note(self) -> None:
        self.runs.append(round(self.clock.monotonic()))

    def play(self, script: Callable[[], Awaitable[Any]]) -> list[float]:
        async def scene() -> None:
            self.scheduler.start()
            await script()
            await self.scheduler.stop()

        run(scene())
        return self.runs


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Subject:
    created = Subject()

    class Wall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return created.clock.now().astimezone(tz)

    # APScheduler asks the real clock, which nobody can set back for a test.
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Wall)
    return created


def test_a_duty_runs_every_interval(subject: Subject) -> None:
    subject.scheduler.every("pass", 60, subject.note)
    assert subject.play(lambda: asyncio.sleep(200)) == [60, 120, 180]


def test_a_duty_runs_by_cron(subject: Subject) -> None:
    subject.scheduler.cron("pass", "*/30 * * * *", "UTC", subject.note)
    assert subject.play(lambda: asyncio.sleep(4000)) == [1800, 3600]


def test_a_rescheduled_duty_runs_at_its_new_times(subject: Subject) -> None:
    async def script() -> None:
        await asyncio.sleep(70)
        subject.scheduler.reschedule("pass", seconds=100)
        await asyncio.sleep(150)
        subject.scheduler.reschedule("pass", cron="*/5 * * * *", timezone="UTC")
        await asyncio.sleep(100)

    subject.scheduler.every("pass", 60, subject.note)
    assert subject.play(script) == [60, 170, 300]


@pytest.mark.parametrize("times", [{}, {"seconds": 1.0, "cron": "* * * * *"}])
def test_rescheduling_needs_exactly_one_kind_of_times(subject: Subject, times: dict[str, Any]) -> None:
    subject.scheduler.every("pass", 60, subject.note)
    with pytest.raises(ValueError, match="either"):
        subject.scheduler.reschedule("pass", **times)


def test_rescheduling_an_unknown_duty_is_refused(subject: Subject) -> None:
    with pytest.raises(LookupError, match="sweep"):
        subject.scheduler.reschedule("sweep", seconds=1)


def test_the_next_run_is_known_while_the_scheduler_runs(subject: Subject) -> None:
    async def script() -> None:
        assert subject.scheduler.next_run("pass") == THURSDAY + timedelta(seconds=60)

    subject.scheduler.every("pass", 60, subject.note)
    assert subject.scheduler.next_run("pass") is None
    assert subject.scheduler.next_run("sweep") is None
    subject.play(script)


def test_a_wall_clock_set_back_holds_up_no_duty_for_longer_than_its_interval(subject: Subject) -> None:
    async def script() -> None:
        await asyncio.sleep(90)
        subject.clock.jump(-86400)
        await asyncio.sleep(160)

    subject.scheduler.every("pass", 60, subject.note)
    assert subject.play(script) == [60, 150, 210]


def test_a_cron_duty_goes_by_the_wall_clock_that_was_set_back(subject: Subject) -> None:
    async def script() -> None:
        await asyncio.sleep(3700)
        subject.clock.jump(-3600)
        await asyncio.sleep(1790)

    subject.scheduler.cron("pass", "*/30 * * * *", "UTC", subject.note)
    assert subject.play(script) == [1800, 3600, 5400]


def test_a_wall_clock_set_forward_by_years_runs_what_is_due_once(subject: Subject) -> None:
    async def script() -> None:
        await asyncio.sleep(30)
        subject.clock.jump(56 * 365 * 86400)
        await asyncio.sleep(75)

    subject.scheduler.every("pass", 60, subject.note)
    subject.scheduler.cron("sweep", "* * * * *", "UTC", subject.note)
    assert subject.play(script) == [30, 30, 60, 90]


def test_a_run_that_takes_longer_than_its_interval_is_not_joined_by_another(subject: Subject) -> None:
    async def slow() -> None:
        await subject.note()
        await asyncio.sleep(90)

    subject.scheduler.every("pass", 60, slow)
    assert subject.play(lambda: asyncio.sleep(250)) == [60, 180]


def test_a_duty_that_raises_runs_again_and_is_logged(subject: Subject) -> None:
    async def fail() -> None:
        await subject.note()
        raise OSError("no space left")

    subject.scheduler.every("pass", 60, fail)
    assert subject.play(lambda: asyncio.sleep(130)) == [60, 120]
    assert [call.args for call in subject.log.calls] == [("duty_failed",)] * 2


def test_stopping_cancels_what_runs_and_waits_for_it(subject: Subject) -> None:
    async def slow() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(5)
            await subject.note()

    subject.scheduler.every("pass", 60, slow)
    assert subject.play(lambda: asyncio.sleep(70)) == [75]
    assert subject.log.calls == []


@pytest.mark.parametrize("turns", [0, 1])
def test_a_duty_that_falls_due_while_we_stop_does_not_begin(
    subject: Subject, turns: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def script() -> None:
        await asyncio.sleep(60)
        for _ in range(turns):
            await asyncio.sleep(0)

    subject.scheduler.every("pass", 60, subject.note)
    assert subject.play(script) == []
    assert caplog.messages == []


def test_one_that_never_started_can_be_stopped(subject: Subject) -> None:
    run(subject.scheduler.stop())
