"""`vqcodec view`: its server answers the browser of this machine, with what it lists alone."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Run, one_line_error, photo

from vqcodec.container import Medium
from vqcodec.container.layout import SIGNATURE
from vqcodec.registry.store import ModelFile, list_models
from vqcodec.view.server import ADDRESS, Server
from vqcodec.view.site import INDEX, Resource, resources

SECRET = b"what nobody asked for"
FILE = SIGNATURE + b" and the rest of a file"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A folder like that of the built page, beside a file that is none of its."""
    folder = tmp_path / "page"
    folder.mkdir()
    for name in (INDEX, "page.js", "page.css", "icon.svg", "vqcodec.wasm"):
        (folder / name).write_bytes(f"contents of {name}".encode())
    (folder / "notes.txt").write_bytes(SECRET)
    (tmp_path / "secret.js").write_bytes(SECRET)
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a picture #1.vqc"
    path.write_bytes(FILE)
    return path


@contextmanager
def serving(found: Mapping[str, Resource]) -> Iterator[Server]:
    """Run a server in a thread."""
    with Server(found) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def server(page: Path, file: Path) -> Iterator[Server]:
    models = [model for model in list_models() if model.medium is Medium.PICTURE]
    with serving(resources(models, file, page)) as running:
        yield running


def ask(
    server: Server, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    ("path", "kind", "contents"),
    [
        ("/", "text/html; charset=utf-8", b"contents of index.html"),
        ("/?file=x", "text/html; charset=utf-8", b"contents of index.html"),
        ("/page.js", "text/javascript; charset=utf-8", b"contents of page.js"),
        ("/page.css", "text/css; charset=utf-8", b"contents of page.css"),
        ("/icon.svg", "image/svg+xml", b"contents of icon.svg"),
        ("/vqcodec.wasm", "application/wasm", b"contents of vqcodec.wasm"),
        ("/file", "application/octet-stream", FILE),
    ],
)
def test_page_and_file(server: Server, path: str, kind: str, contents: bytes) -> None:
    response, body = ask(server, path)
    assert response.status == 200
    assert body == contents
    assert response.headers["Content-Type"] == kind
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Access-Control-Allow-Origin"] is None
    response, body = ask(server, path, "HEAD")
    assert body == b""
    assert response.headers["Content-Length"] == str(len(contents))


def test_models_are_offered_with_their_hashes(server: Server) -> None:
    entries = json.loads(ask(server, "/models.json")[1])
    assert [entry["name"] for entry in entries] == ["photo-2", "photo", "paper"]
    for entry in entries:
        _, body = ask(server, f"/{entry['file']}")
        assert len(body) == entry["size"]
        assert hashlib.sha256(body).hexdigest() == entry["sha256"]


@pytest.mark.parametrize(
    "path",
    [
        "/secret.js",
        "/../secret.js",
        "/page/../../secret.js",
        "/%2e%2e/secret.js",
        "/..%2fsecret.js",
        "/notes.txt",
        "/models/../../secret.js",
        "//etc/passwd",
        "/etc/passwd",
        "/models/",
        "/index.html/",
        "/\\secret.js",
    ],
)
def test_nothing_else_is_offered(server: Server, path: str) -> None:
    response, body = ask(server, path)
    assert response.status == 404
    assert SECRET not in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": ""},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/file", "/models.json"])
def test_pages_of_others_get_no_answer(server: Server, headers: dict[str, str], path: str) -> None:
    response, body = ask(server, path, **headers)
    assert response.status == 403
    assert FILE not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    assert ask(server, "/file", method)[0].status == 501


def test_a_malformed_address_is_refused(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection((ADDRESS, server.server_port), timeout=10) as connection:
        request = f"GET http://[ HTTP/1.1\r\nHost: {ADDRESS}:{server.server_port}\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert not capsys.readouterr().err


def test_clients_that_go_away_are_not_spoken_of(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = threading.active_count()
    reset = struct.pack("ii", 1, 0)  # closed at once: the server's next reading or writing fails
    for request in [
        "",
        "GET",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://[ HTTP/1.1\r\n\r\n",
    ]:
        connection = socket.create_connection((ADDRESS, server.server_port), timeout=10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        connection.sendall(request.encode())
        connection.close()
    assert ask(server, "/")[0].status == 200
    while threading.active_count() > threads:
        time.sleep(0.01)
    assert not capsys.readouterr().err


def test_other_errors_of_the_server_are_told(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "resources", None)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server, "/")
    assert "AttributeError" in capsys.readouterr().err


def test_only_this_machine_is_answered(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_file_that_is_gone_or_no_file(server: Server, file: Path) -> None:
    file.unlink()
    assert ask(server, "/file")[0].status == 404
    file.mkdir()
    assert ask(server, "/file")[0].status == 404
    if hasattr(os, "mkfifo"):
        file.rmdir()
        os.mkfifo(file)
        assert ask(server, "/file")[0].status == 404


def test_command_says_what_is_missing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_page(models: list[ModelFile], file: Path | None) -> object:
        return resources(models, file, tmp_path / "none")

    monkeypatch.setattr("vqcodec.cli.view.resources", without_page)
    assert "no page" in one_line_error(run("view", "--no-browser"), 1)
    one_line_error(run("view", "missing.vqc"), 2)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("notes.txt", b"These are notes.\n" * 9, "neither a .vqc file nor a picture"),
        ("notes.vqc", b"These are notes.\n" * 9, "neither a .vqc file nor a picture"),
        ("empty.vqc", b"", "neither a .vqc file nor a picture"),
        ("empty.zip", b"PK\5\6" + bytes(18), "neither a .vqc file nor a picture"),
        ("talk.wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(24), "neither a .vqc file nor a picture"),
        ("film.mp4", b"\0\0\0\x10ftypisom" + bytes(9), "neither a .vqc file nor a picture"),
        ("talk.vqc", SIGNATURE + bytes([1, Medium.SOUND]), "holds sound, and the page shows"),
        ("walk.vqc", SIGNATURE + bytes([1, Medium.CLIP]), "holds a clip, and the page shows"),
    ],
)
def test_command_refuses_what_the_page_cannot_show(
    run: Run, name: str, data: bytes, told: str
) -> None:
    Path(name).write_bytes(data)
    error = one_line_error(run("view", name, "--no-browser"), 1)
    assert f"error: {name}: " in error
    assert told in error


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "ICO"])
def test_command_takes_pictures_of_any_name_and_damaged_ones(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    def without_page(models: list[ModelFile], file: Path | None) -> object:
        return resources(models, file, tmp_path / "none")

    monkeypatch.setattr("vqcodec.cli.view.resources", without_page)
    photo(32, 32).save("whole", format_name)
    Path("half").write_bytes(Path("whole").read_bytes()[:100])
    for name in ("whole", "half"):
        assert "no page" in one_line_error(run("view", name, "--no-browser"), 1)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C reaches whole groups of processes there")
def test_command_prints_the_address_and_ends_by_ctrl_c(page: Path, file: Path) -> None:
    code = f"""
import sys, pathlib
from vqcodec.view import site
site.resources.__defaults__ = (None, pathlib.Path({str(page)!r}))
from vqcodec.cli import main
sys.argv = ["vqcodec", "view", {str(file)!r}, "--no-browser"]
main()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address, _, rest = process.stdout.readline().partition(" ")
    assert "Ctrl-C" in rest
    host = address.removeprefix("http://").partition("/")[0]
    assert host.startswith("127.0.0.1:")
    assert address.endswith("/?file=a+picture+%231.vqc")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", "/file")
    assert connection.getresponse().read() == FILE
    process.send_signal(signal.SIGINT)
    _, trouble = process.communicate(timeout=120)
    assert (process.returncode, trouble) == (0, "")
