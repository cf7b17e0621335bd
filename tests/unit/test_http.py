from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import komodod
from komodod.errors import GoneError, KomododError, PermanentError, TemporaryError
from komodod.http import LARGEST, LONGEST_WAIT, Answer, origin, post, retry_after, session
from komodod.testing.sink import Fault, Sink

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def send(url: str, body: bytes = b"{}", headers: dict[str, str] | None = None, timeout: float = 20.0) -> Answer:
    async def scene() -> Answer:
        async with session() as http:
            return await post(http, url, body=body, headers=headers or {}, timeout=timeout)

    return asyncio.run(scene())


def failure(url: str, **options: Any) -> KomododError:
    with pytest.raises(KomododError) as raised:
        send(url, **options)
    return raised.value


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_2xx_is_success(sink: Sink, status: int) -> None:
    sink.answer(status, b"" if status == 204 else b"fine", x_request_id="7")
    answer = send(sink.url)
    assert (answer.status, answer.body) == (status, b"" if status == 204 else b"fine")
    assert answer.headers["X-Request-Id"] == "7"


def test_the_request_is_what_was_asked_for_and_says_who_we_are(sink: Sink) -> None:
    send(sink.url, b'{"a": 1}', {"Content-Type": "application/json", "X-Key": "k"})
    (request,) = sink.requests
    assert (request.method, request.path, request.body) == ("POST", "/hook", b'{"a": 1}')
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-key"] == "k"
    assert request.headers["user-agent"] == f"komodod/{komodod.__version__}"


@pytest.mark.parametrize(
    ("status", "kind", "doubtful"),
    [
        (408, TemporaryError, True),
        (425, TemporaryError, True),
        (429, TemporaryError, False),
        (500, TemporaryError, True),
        (502, TemporaryError, True),
        (503, TemporaryError, True),
        (504, TemporaryError, True),
        (599, TemporaryError, True),
        (301, PermanentError, None),
        (304, PermanentError, None),
        (307, PermanentError, None),
        (400, PermanentError, None),
        (401, PermanentError, None),
        (403, PermanentError, None),
        (404, PermanentError, None),
        (409, PermanentError, None),
        (422, PermanentError, None),
        (410, GoneError, None),
    ],
)
def test_any_other_status_says_whether_trying_again_helps(
    sink: Sink, status: int, kind: type[KomododError], doubtful: object
) -> None:
    sink.answer(status, location="/elsewhere")
    error = failure(sink.url)
    assert type(error) is kind
    assert getattr(error, "doubtful", None) is doubtful
    assert f"answered {status}" in str(error)
    assert len(sink.requests) == 1


def test_what_the_server_says_of_its_refusal_is_told_in_one_line(sink: Sink) -> None:
    sink.answer(400, b"unknown\n  field: \x1b[1m'color'" + b"!" * 1000)
    assert str(failure(sink.url)).startswith(
        f"{origin(sink.url)} answered 400 Bad Request: unknown field: [1m'color'!!"
    )
    assert len(str(failure(sink.url))) < 300


@pytest.mark.parametrize("status", [400, 500])
def test_what_we_sent_in_confidence_is_in_no_error(sink: Sink, status: int) -> None:
    sink.answer(status, b"no: /hook/T0K3N-part?key=s3cret&n=1 Bearer hunter2 s3cret T0K3N-part")
    error = failure(f"{sink.url}/T0K3N-part?key=s3cret&n=1", headers={"Authorization": "Bearer hunter2"})
    for secret in ("T0K3N", "s3cret", "hunter2"):
        assert secret not in str(error)


def test_an_answer_is_read_up_to_a_limit(sink: Sink) -> None:
    sink.answer(200, b"x" * (3 * LARGEST))
    assert len(send(sink.url).body) == LARGEST


def test_no_cookie_is_kept(sink: Sink) -> None:
    async def scene() -> None:
        async with session() as http:
            for _ in range(2):
                await post(http, sink.url.replace("127.0.0.1", "localhost"), body=b"", headers={})

    sink.answer(200, set_cookie="a=b")
    asyncio.run(scene())
    assert "cookie" not in sink.requests[1].headers


# --- Retry-After -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("120", None, 120.0),
        ("0", None, 0.0),
        (" 7 ", None, 7.0),
        ("Thu, 01 Jan 2026 12:01:30 GMT", None, 90.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", None, 0.0),
        ("Thu, 01 Jan 2026 15:00:10 GMT", "Thu, 01 Jan 2026 15:00:00 GMT", 10.0),
        ("9" * 400, None, LONGEST_WAIT),
        ("Fri, 01 Jan 2100 00:00:00 GMT", None, LONGEST_WAIT),
        ("-5", None, None),
        ("1.5", None, None),
        ("soon", None, None),
        ("Thu, 99 Jan 2026 12:01:30 GMT", None, None),
        ("²", None, None),
        ("", None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str, date: str | None, seconds: float | None) -> None:
    headers = {"Retry-After": value} | ({"Date": date} if date else {})
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize("status", [429, 503])
def test_the_error_carries_how_long_to_stay_away(sink: Sink, status: int) -> None:
    sink.answer(status, retry_after="120")
    error = failure(sink.url)
    assert isinstance(error, TemporaryError)
    assert error.retry_after == 120


# --- no answer -------------------------------------------------------------------------------------------------------


def told(error: KomododError, text: str, *, doubtful: bool) -> None:
    assert isinstance(error, TemporaryError)
    assert text in str(error)
    assert error.doubtful is doubtful
    assert "/hook" not in str(error)


def test_a_refused_connection_changed_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = failure(f"http://127.0.0.1:{port}/hook/secret")
    told(error, f"cannot connect to http://127.0.0.1:{port}: Connect call failed", doubtful=False)


def test_an_unknown_host_changed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unknown)
    told(failure("http://nowhere.invalid/hook"), "Name or service not known", doubtful=False)


def test_a_connection_that_does_not_come_about_changed_nothing() -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):  # the queue is full after this, and the kernel drops who comes next
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        error = failure(f"http://127.0.0.1:{full.getsockname()[1]}/hook", timeout=0.2)
    told(error, "no connection in time", doubtful=False)


def test_silence_is_in_doubt(sink: Sink) -> None:
    sink.answer(fault=Fault.HANG)
    told(failure(sink.url, timeout=0.2), "did not answer within 0.2 s", doubtful=True)


def test_a_reset_after_the_request_was_read_is_in_doubt(sink: Sink) -> None:
    sink.answer(fault=Fault.RESET)
    told(failure(sink.url), "cut the connection", doubtful=True)
    assert len(sink.requests) == 1


def test_half_an_answer_is_in_doubt(sink: Sink) -> None:
    sink.answer(body=b"half", fault=Fault.HALF)
    told(failure(sink.url), "was cut short", doubtful=True)


def test_half_an_answer_of_a_refusal_is_a_refusal(sink: Sink) -> None:
    sink.answer(404, b"half", fault=Fault.HALF)
    assert type(failure(sink.url)) is PermanentError


@contextlib.contextmanager
def speaking(answer: bytes) -> Iterator[str]:
    """A server that answers these bytes to whatever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
        thread.join(20)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 20\xff OK\r\n\r\n"])
def test_an_answer_that_is_not_http_is_in_doubt(answer: bytes) -> None:
    with speaking(answer) as url:
        told(failure(url), "sent no valid HTTP answer", doubtful=True)


def test_a_server_that_ends_without_an_answer_is_in_doubt() -> None:
    with speaking(b"") as url:
        told(failure(url), "cut the connection", doubtful=True)


def test_a_server_that_speaks_no_tls_changed_nothing() -> None:
    with speaking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        told(failure(url.replace("http:", "https:")), "cannot connect to https://127.0.0.1", doubtful=False)


@pytest.mark.parametrize(
    "url",
    ["", "hook", "ftp://example.org/hook", "http://", "http://[::1/hook", "http://a:99999/hook", "http://" + "a" * 70],
)
def test_what_is_no_url_is_refused_for_good(url: str) -> None:
    error = failure(url)
    assert type(error) is PermanentError
    assert "is no URL that can be posted to" in str(error)
    assert "/hook" not in str(error)


# --- proxies ---------------------------------------------------------------------------------------------------------


class Proxy(BaseHTTPRequestHandler):
    status = 204

    def do_POST(self) -> None:
        self.send_response(self.status)
        self.send_header("X-Asked-For", self.path)
        self.end_headers()

    def do_CONNECT(self) -> None:
        self.send_error(407)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_address[1]}")
        yield
        server.shutdown()


@pytest.mark.usefixtures("proxy")
def test_the_proxy_of_the_environment_is_used() -> None:
    assert send("http://komodod.invalid/hook").headers["X-Asked-For"] == "http://komodod.invalid/hook"


@pytest.mark.usefixtures("proxy")
def test_a_proxy_that_refuses_is_told_of() -> None:
    error = failure("https://komodod.invalid/hook")
    assert str(error) == "the proxy for https://komodod.invalid answered 407 Proxy Authentication Required"
    assert type(error) is PermanentError


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:pw@hooks.example.org/T0/B1?x=y#z", "https://hooks.example.org"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
        ("http://[::1", "the URL"),
        ("nonsense", "the URL"),
        ("http://a:port/", "the URL"),
    ],
)
def test_of_a_url_only_the_origin_is_shown(url: str, shown: str) -> None:
    assert origin(url) == shown
