"""The files of the dashboard, built in and the operator's own."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from gqm import Client
from gqm.errors import ConfigError
from gqm.monitor import app as make_app
from tests.api.support import KEYS, Api, make_config, serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "panel"
    (root / "sub").mkdir(parents=True)
    (root / "index.html").write_text("<p>panel</p>")
    (root / "app.js").write_text("let x = 1;\n" * 1000)
    (root / "sub" / "a.CSS").write_text("p {}")
    (root / "secret.py").write_text("x")
    (root / ".hidden.html").write_text("x")
    (tmp_path / "outside.html").write_text("outside")
    (root / "link.html").symlink_to(tmp_path / "outside.html")
    (root / "linked").symlink_to(tmp_path)
    return root


@pytest.fixture
def panel(redis_socket: str, prefix: str, folder: Path) -> Iterator[Api]:
    options = {"api_keys": KEYS, "dashboard": True, "custom_dir": str(folder), "path_prefix": "/my-panel"}
    with serve(f"unix:{redis_socket}", prefix, rate_limit=-1, **options) as api:
        yield api


@pytest.mark.security(18)
@pytest.mark.parametrize(
    "rest",
    [
        "secret.py",
        ".hidden.html",
        "../outside.html",
        "..%2foutside.html",
        "%2e%2e/outside.html",
        "%2E%2e%2foutside.html",
        "sub/../../outside.html",
        "link.html",
        "linked/outside.html",
        "a%00.html",
        "index.html%00.js",
        "..\\outside.html",
        "..%5coutside.html",
        "sub//a.CSS",
        "/etc/hostname.txt",
        "none.html",
        "index.html.bak",
        "sub/.html",
        "%252e%252e/outside.html",
    ],
)
def test_nothing_but_the_folder_is_served(panel: Api, rest: str) -> None:
    answer = panel.get(f"/my-panel/{rest}", key=None)
    assert (answer.status, answer.code) == (404, "NOT_FOUND"), str(answer)


def test_files_have_fixed_types_tags_and_compression(panel: Api) -> None:
    for rest, media_type, text in (
        ("", "text/html; charset=utf-8", "panel"),
        ("index.html", "text/html; charset=utf-8", "panel"),
        ("jobs/some-id", "text/html; charset=utf-8", "panel"),
        ("sub/a.CSS", "text/css; charset=utf-8", "p {}"),
    ):
        answer = panel.get(f"/my-panel/{rest}", key=None)
        assert answer.status == 200, rest
        assert answer.headers["Content-Type"] == media_type
        assert text in answer.raw.decode()
        assert answer.headers["Cache-Control"] == "no-cache"
    plain = panel.get("/my-panel/app.js", key=None)
    packed = panel.get("/my-panel/app.js", key=None, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.raw) == plain.raw
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for tag in (plain.headers["ETag"], packed.headers["ETag"]):
        again = panel.get("/my-panel/app.js", key=None, headers={"If-None-Match": tag})
        assert (again.status, again.raw) == (304, b"")


def test_a_changed_file_is_served_anew(panel: Api, folder: Path) -> None:
    before = panel.get("/my-panel/", key=None).headers["ETag"]
    (folder / "index.html").write_text("<p>changed text</p>")
    after = panel.get("/my-panel/", key=None)
    assert after.headers["ETag"] != before
    assert b"changed" in after.raw


@pytest.mark.fault(25)
def test_redirects_keep_the_query(panel: Api) -> None:
    assert panel.get("/my-panel?a=1&b=%20", key=None).headers["Location"] == "/my-panel/?a=1&b=%20"
    answer = panel.get("/", key=None)
    assert (answer.status, answer.headers["Location"]) == (302, "/my-panel/")


def test_config_for_the_dashboard_is_made(panel: Api, folder: Path) -> None:
    (folder / "config.json").write_text('{"api":"https://evil.example"}')
    assert panel.get("/my-panel/config.json", key=None).json == {
        "api": "/api/v1",
        "auth": "/auth",
        "version": "1.0.0",
        "dashboard_version": "1.0.0",
        "sse": True,
    }


def test_the_built_in_page_forbids_code_from_strings(api: Api, panel: Api) -> None:
    built_in = api.get("/dashboard/", key=None)
    assert built_in.status == 200
    assert "require-trusted-types-for 'script'" in built_in.headers["Content-Security-Policy"]
    assert "trusted-types" not in panel.get("/my-panel/", key=None).headers["Content-Security-Policy"]


def test_without_a_dashboard_there_is_none(keyed: Api) -> None:
    assert keyed.get("/", key=None).status == 404
    assert keyed.get("/dashboard/", key=None).status == 404


def test_a_folder_without_a_page_is_a_config_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError):
            make_config("localhost:1", "x:", dashboard=True, custom_dir=str(path))


def test_mounted_below_another_application(redis_socket: str, prefix: str) -> None:
    with Client(f"unix:{redis_socket}", prefix=prefix) as client:
        app = make_app(client, api_keys=KEYS, dashboard=True)
        told: list[tuple[str, dict[str, str]]] = []

        def ask(path: str) -> bytes:
            environ = {
                "REQUEST_METHOD": "GET",
                "SCRIPT_NAME": "/ops",
                "PATH_INFO": path,
                "QUERY_STRING": "a=1",
                "wsgi.url_scheme": "https",
                "REMOTE_ADDR": "192.0.2.1",
            }
            return b"".join(app(environ, lambda status, fields: told.append((status, dict(fields)))))

        ask("/dashboard")
        assert told[-1][1]["Location"] == "/ops/dashboard/?a=1"
        assert told[-1][1]["Strict-Transport-Security"] == "max-age=31536000"
        assert b'"api":"/ops/api/v1"' in ask("/dashboard/config.json")
        app.close()
