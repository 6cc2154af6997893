"""Where the server listens, and how it ends."""

import asyncio
import errno
import socket
import threading
import time

import pytest

from captioning.command import Terminated
from captioning.serving import server as servers
from captioning.serving.app import make_app
from captioning.serving.limits import Limits
from captioning.serving.server import HOST, address_of, listen, run, run_until
from captioning.serving.worker import Worker
from captioning.training.stopping import Stop
from tests.captioning.serving.served import HEAD, PATIENCE, needs_server


def test_a_port_of_this_machine_alone():
    with listen(0) as listener:
        assert listener.getsockname()[0] == HOST == "127.0.0.1"
        assert address_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}/"


def test_what_cannot_be_listened_on_is_said_with_what_to_do(monkeypatch):
    with listen(0) as taken, pytest.raises(OSError, match=r"127\.0\.0\.1:\d+: another program .*--port N"):
        listen(taken.getsockname()[1])
    for port in (-1, 65536):
        with pytest.raises(ValueError, match=f"from 0 to 65535; got {port}"):
            listen(port)

    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(servers.socket, "socket", lambda *arguments: Refusing(refuse))
    with pytest.raises(OSError, match=r"127\.0\.0\.1:80: this user may not use that port: choose another"):
        listen(80)


class Refusing:
    def __init__(self, bind):
        self.bind, self.setsockopt, self.close = bind, lambda *arguments: None, lambda: None


@needs_server
def test_it_ends_amid_requests_and_its_port_is_free():
    limits, stop, ready, going = Limits(), Stop(), threading.Event(), threading.Event()
    listener = listen(0)
    port = listener.getsockname()[1]
    with Worker(lambda content: {"went": going.wait(PATIENCE)}) as worker:
        app = make_app(worker, "a test", limits)
        thread = threading.Thread(target=lambda: asyncio.run(run_until(stop, app, listener, limits, ready.set)))
        thread.start()
        assert ready.wait(PATIENCE)
        connections = [socket.create_connection((HOST, port), timeout=PATIENCE) for _ in range(3)]
        for connection, body in zip(connections, ("", "half", "whole body"), strict=True):
            connection.sendall(f"{HEAD}Content-Length: 10\r\n\r\n{body}".encode())
        while not worker.waiting:
            time.sleep(0.01)
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert worker.waiting == 0
        for connection in connections:
            with connection:
                assert ended(connection)
        listen(port).close()
        going.set()


def ended(connection):
    try:
        while connection.recv(1000):
            pass
    except ConnectionResetError:
        pass
    return True


@needs_server
@pytest.mark.parametrize(("number", "kind"), [(2, KeyboardInterrupt), (15, Terminated)])
def test_a_signal_ends_it_as_it_ends_every_command(number, kind):
    async def app(scope, receive, send):
        raise AssertionError("nobody asks")

    with pytest.raises(KeyboardInterrupt) as stopped:
        run(app, listen(0), Limits(), lambda: servers.signal.raise_signal(number))
    assert type(stopped.value) is kind
