"""An exhaustive check of the notification protocol (design D5) over the real decisions.

One notification, two workers, a class A channel. The alert opens, changes and closes; workers crash and outlive their
leases; answers get lost; requests land late and in any order. Every reachable state is visited, and wherever the world
is at rest the channel must show exactly what it should.

Left out is one double fault that only a comparison with the channel can find: a worker that outlives its lease between
its last look at it and its send, and then dies before it can confess.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from komodod.engine.decisions import outcomes
from komodod.engine.decisions.notifying import Abandon, Rest, Say, Search, Settle, Step, Wait, decide
from komodod.model import Alert, AlertKind, Doubt, Members, Notification, Severity, Want
from komodod.notifier import ReceiptClass, Traits
from komodod.storage import Batch, Confess, DropDoubt, MarkDirty, PutDoubt, PutNotification, Release

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAST = NOW - timedelta(seconds=1)
LIFETIME = timedelta(seconds=100)
TRAITS = Traits(receipt_class=ReceiptClass.A, withdrawal="is removed")

Channel = frozenset[tuple[str, str]]
"""What stands: key and digest of each message."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request under way."""

    want: Want
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class Worker:
    """Where a worker is: `idle`, `claimed`, `intent`, `sent`, `answered` or `timeout`."""

    at: str = "idle"
    row: Notification | None = None
    say: Say | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may still go wrong."""

    toggles: int = 3
    crashes: int = 1
    pauses: int = 1
    losses: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """The whole world. `said` is what the open alert says, None while it is closed; `keys` counts the keys made."""

    said: str | None
    budget: Budget
    row: Notification
    holder: int | None
    workers: tuple[Worker, Worker]
    net: tuple[Request, ...]
    channel: Channel
    keys: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """The protocol under test; a test of the test puts something worse in a place."""

    decide: Callable[..., Step] = decide
    intend: Callable[..., tuple[Notification, Batch]] = outcomes.intend
    answered: Callable[..., Batch] = outcomes.answered
    unanswered: Callable[..., Batch] = outcomes.unanswered
    confessed: Callable[..., Batch] = outcomes.confessed


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many states there are, and how one got to the first in which the channel is wrong; empty if none is."""

    states: int
    trace: tuple[str, ...] = ()


def explore(budget: Budget, rules: Rules | None = None) -> Verdict:
    """Visit every state that can be reached, breadth first, and stop at the first that is at rest and wrong."""
    rules = rules or Rules()
    row = Notification(id="n", notifier="channel", group="g", title="sync")
    start = State(None, budget, row, None, (Worker(), Worker()), (), frozenset())
    came: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        if _at_rest(state) and not _right(state):
            return Verdict(len(came), _trace(came, state))
        for name, following in steps(state, rules):
            if following not in came:
                came[following] = (state, name)
                queue.append(following)
    return Verdict(len(came))


def follow(trace: list[str], rules: Rules | None = None, budget: Budget | None = None) -> State:
    """Take the named steps, and then any until the world is at rest; return it.

    Raises:
        LookupError: a step of the trace is not possible where it stands.
    """
    rules = rules or Rules()
    row = Notification(id="n", notifier="channel", group="g", title="sync")
    state = State(None, budget or Budget(), row, None, (Worker(), Worker()), (), frozenset())
    for name in trace:
        possible = dict(steps(state, rules))
        if name not in possible:
            raise LookupError(f"{name!r} is not possible; these are: {sorted(possible)}")
        state = possible[name]
    while not _at_rest(state):
        state = next(following for name, following in steps(state, rules) if not name.startswith(FAULTS))
    return state


FAULTS = ("the alert", "w0 crashes", "w1 crashes", "the lease", "w0 gets no", "w1 gets no")
"""What a world that is left alone does not do."""


def wrong(state: State) -> bool:
    """Tell whether the channel of a world at rest shows anything else than it should."""
    return not _right(state)


def _at_rest(state: State) -> bool:
    busy = state.net or any(worker.at != "idle" for worker in state.workers)
    return not busy and state.holder is None and state.row.due_at is None


def _right(state: State) -> bool:
    if state.said is None:
        return not state.channel
    wanted = decide(state.row, members(state.said), TRAITS, NOW, lambda: "")
    return isinstance(wanted, Rest) and state.channel == frozenset({(state.row.key, state.row.shown_digest)})


def members(said: str | None) -> Members:
    """Return the group of an open alert that says this, or of one that is closed."""
    alert = Alert(
        id="a",
        sync_id="g",
        sync_name="sync",
        kind=AlertKind.PENDING,
        severity=Severity.WARNING,
        summary=said or "",
        opened_at=NOW,
        updated_at=NOW,
    )
    return Members(open=(alert,)) if said else Members(last=replace(alert, resolved_at=NOW))


# --- what can happen --------------------------------------------------------------------------------------------------


def steps(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """Yield everything that can happen next, by name."""
    yield from _environment(state)
    for index, worker in enumerate(state.workers):
        yield from _work(state, rules, index, worker)


def _environment(state: State) -> Iterator[tuple[str, State]]:
    budget = state.budget
    if budget.toggles:
        for said in {None, "x", "y"} - {state.said}:
            spent = replace(budget, toggles=budget.toggles - 1)
            name = "the alert closes" if said is None else f"the alert says {said}"
            yield name, replace(state, said=said, budget=spent, row=_marked(state.row))
    if state.holder is not None and budget.pauses:
        spent = replace(budget, pauses=budget.pauses - 1)
        yield f"the lease of w{state.holder} ends", replace(state, holder=None, budget=spent, row=_due(state.row))
    for index, request in enumerate(state.net):
        rest = state.net[:index] + state.net[index + 1 :]
        landed = replace(state, net=rest, channel=_land(state.channel, request))
        yield f"{request.want} {request.key} lands", _answer(landed, request)
    # A worker under its lease sends at once or, after a look at the lease, not at all: its intent does not grow old.
    prompt = state.holder is not None and state.workers[state.holder].at == "intent"
    if not state.net and not prompt and (later := _later(state.row)) is not None:
        yield "time passes", replace(state, row=later)


def _land(channel: Channel, request: Request) -> Channel:
    others = frozenset(standing for standing in channel if standing[0] != request.key)
    return others | {(request.key, request.digest)} if request.want is Want.SHOW else others


def _answer(state: State, request: Request) -> State:
    """Let the answer reach the worker that waits for it, if it still waits."""
    for index, worker in enumerate(state.workers):
        if worker.at == "sent" and worker.say is not None and _request(worker.say) == request:
            return _with(state, index, replace(worker, at="answered"))
    return state


def _later(row: Notification) -> Notification | None:
    """Return the row after all that may still land has had its time; None if it waits for nothing."""
    waits = row.due_at is not None and row.due_at > NOW
    if not waits and all(doubt.until <= NOW for doubt in row.doubts):
        return None
    doubts = tuple(replace(doubt, until=PAST) for doubt in row.doubts)
    return replace(row, doubts=doubts, due_at=NOW if waits else row.due_at, retry_at=None)


def _work(state: State, rules: Rules, index: int, worker: Worker) -> Iterator[tuple[str, State]]:
    me, mine = f"w{index} ", state.holder == index
    if worker.at == "idle":
        if state.holder is None and state.row.due_at is not None and state.row.due_at <= NOW:
            yield me + "claims", _with(replace(state, holder=index), index, Worker("claimed", state.row))
        return
    lost = not mine and worker.at in ("sent", "answered", "timeout")
    if state.budget.crashes and not lost:
        spent = replace(state.budget, crashes=state.budget.crashes - 1)
        holder = None if mine else state.holder
        row = _due(state.row) if mine else state.row
        yield me + "crashes", _with(replace(state, budget=spent, holder=holder, row=row), index, Worker())
    if worker.at == "claimed":
        yield _decided(state, rules, index, worker, mine=mine)
    elif worker.at == "intent" and worker.say is not None:
        request = _request(worker.say)
        yield (
            me + f"sends {request.want} {request.key}",
            _with(replace(state, net=(*state.net, request)), index, replace(worker, at="sent")),
        )
    elif worker.at == "sent" and state.budget.losses:
        spent = replace(state.budget, losses=state.budget.losses - 1)
        yield me + "gets no answer", _with(replace(state, budget=spent), index, replace(worker, at="timeout"))
    elif worker.at in ("answered", "timeout"):
        yield _concluded(state, rules, index, worker, mine=mine)


def _decided(state: State, rules: Rules, index: int, worker: Worker, *, mine: bool) -> tuple[str, State]:
    """Let a worker read the members, decide, and commit; what is not to be sent ends its work."""
    me, row = f"w{index} ", _row(worker)
    made = [f"k{state.keys + 1}"]
    step = rules.decide(row, members(state.said), TRAITS, NOW, lambda: made[0])
    if not mine:
        return me + "finds its lease gone", _with(state, index, Worker())
    if isinstance(step, Say):
        intended, batch = rules.intend(row, step, "t", NOW, LIFETIME)
        after = _applied(state, batch)
        keys = state.keys + 1 if step.key == made[0] else state.keys
        return me + "commits its intent", _with(
            replace(after, keys=keys), index, Worker("intent", intended, _slim(step))
        )
    batch = _silent(row, step)
    return me + "has nothing to say", _with(_applied(state, batch), index, Worker())


def _slim(say: Say) -> Say:
    """Leave out what cannot be compared by value; the digest stands for it."""
    return replace(say, message=replace(say.message, alerts=()))


def _silent(row: Notification, step: Step) -> Batch:
    match step:
        case Wait():
            return outcomes.waited(row, "t", step)
        case Settle(doubt):
            return outcomes.lingered(row, "t", doubt, NOW)
        case Rest():
            return outcomes.rested(row, "t")
        case Say() | Search() | Abandon():
            raise AssertionError(f"a class A channel never needs {step}")


def _concluded(state: State, rules: Rules, index: int, worker: Worker, *, mine: bool) -> tuple[str, State]:
    me, row, say = f"w{index} ", _row(worker), worker.say
    if say is None:
        raise AssertionError("a worker that has sent knows what")
    if not mine:
        batch = rules.confessed(row, say, NOW, LIFETIME, None)
        return me + "confesses", _with(_applied(state, batch), index, Worker())
    if worker.at == "timeout":
        batch = rules.unanswered(row, say, "t", NOW, "no answer", doubtful=True)
        return me + "leaves it in doubt", _with(_applied(state, batch), index, Worker())
    batch = rules.answered(row, say, "t", NOW, None)
    return me + "commits the answer", _with(_applied(state, batch), index, Worker())


# --- the store, as far as one row needs it -----------------------------------------------------------------------------


def _applied(state: State, batch: Batch) -> State:
    row, holder = state.row, state.holder
    for write in batch.writes:
        match write:
            case PutNotification(put):
                due = put.due_at if put.version == row.version else NOW
                row = replace(put, version=row.version, doubts=row.doubts, due_at=due)
            case PutDoubt(_, doubt):
                row = _doubting(row, doubt)
            case DropDoubt(_, key, version):
                row = replace(row, doubts=tuple(d for d in row.doubts if d.key != key or d.version > version))
            case Confess(_, _, _, doubt):
                row = _marked(row)
                row = _doubting(row, replace(doubt, version=row.version))
            case MarkDirty():
                row = _marked(row)
            case Release():
                holder = None
            case _:
                raise AssertionError(f"not a write to a notification: {write}")
    return replace(state, row=_plain(row), holder=holder)


def _doubting(row: Notification, doubt: Doubt) -> Notification:
    old = next((known for known in row.doubts if known.key == doubt.key), None)
    if old is not None and old.version > doubt.version:
        doubt = replace(old, until=max(old.until, doubt.until))
    others = [known for known in row.doubts if known.key != doubt.key]
    return replace(row, doubts=tuple(sorted((*others, doubt), key=lambda known: known.key)))


def _marked(row: Notification) -> Notification:
    return replace(row, version=row.version + 1, due_at=NOW)


def _due(row: Notification) -> Notification:
    """Return the row as it can be claimed again after its lease: a claim leaves `due_at` as it was."""
    return replace(row, due_at=row.due_at or NOW)


def _plain(row: Notification) -> Notification:
    """Leave out what people read and no decision goes by, so that fewer states differ."""
    return replace(row, ledger=row.ledger[-1:], attempts=0, last_error=None, waiting=None)


def _row(worker: Worker) -> Notification:
    if worker.row is None:
        raise AssertionError("a worker at work has a row")
    return worker.row


def _request(say: Say) -> Request:
    return Request(say.want, say.key, say.digest)


def _with(state: State, index: int, worker: Worker) -> State:
    workers = tuple(worker if position == index else other for position, other in enumerate(state.workers))
    return replace(state, workers=workers)  # type: ignore[arg-type]  # still two


def _trace(came: Mapping[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    names: list[str] = []
    while (step := came[state]) is not None:
        state, name = step
        names.append(name)
    return tuple(reversed(names))
