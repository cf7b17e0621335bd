from __future__ import annotations

import asyncio

import pytest

from komodod.errors import PermanentError, TemporaryError
from komodod.guard import guarded
from komodod.testing.simulation import run


async def answer() -> str:
    await asyncio.sleep(1)
    return "receipt"


async def fail(error: BaseException) -> None:
    await asyncio.sleep(1)
    raise error


async def ignore_cancellation(seconds: float) -> str:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        try:
            await asyncio.sleep(end - loop.time())
        except asyncio.CancelledError:
            continue
    return "at last"


def test_an_answer_is_passed_on() -> None:
    assert run(guarded(answer(), 5)) == "receipt"


def test_an_error_is_passed_on_as_it_is() -> None:
    with pytest.raises(PermanentError, match="no such channel"):
        run(guarded(fail(PermanentError("no such channel")), 5))


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_what_would_end_the_loop_becomes_an_ordinary_error(error: BaseException) -> None:
    async def scene() -> str:
        with pytest.raises(RuntimeError, match=f"it raised {type(error).__name__}"):
            await guarded(fail(error), 5)
        return "alive"

    assert run(scene()) == "alive"


def test_silence_until_the_time_out_is_temporary_and_in_doubt() -> None:
    with pytest.raises(TemporaryError, match="no answer within 5 s") as raised:
        run(guarded(asyncio.sleep(60), 5))
    assert raised.value.doubtful


def test_the_time_out_waits_for_the_clean_up() -> None:
    steps: list[str] = []

    async def careful() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(2)
            steps.append("cleaned up")

    async def scene() -> None:
        with pytest.raises(TemporaryError):
            await guarded(careful(), 5)
        steps.append("gave up")

    run(scene())
    assert steps == ["cleaned up", "gave up"]


def test_an_answer_given_while_cancelled_counts() -> None:
    assert run(guarded(ignore_cancellation(7), 5)) == "at last"


def test_one_that_cannot_be_cancelled_does_not_hold_its_caller() -> None:
    async def scene() -> float:
        with pytest.raises(TemporaryError, match="cannot be cancelled"):
            await guarded(ignore_cancellation(60), 5, grace=3)
        return asyncio.get_running_loop().time()

    assert run(scene()) == 8


def test_a_cancelled_caller_cancels_the_call_and_stays_cancelled() -> None:
    async def scene() -> None:
        ended = asyncio.Event()

        async def call() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()

        task = asyncio.create_task(guarded(call(), 50))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    run(scene())
