"""The files of the dashboard, built in or the operator's own, and the few things that are made for it."""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gqm.errors import ConfigError
from gqm.monitor.answers import Plain
from gqm.monitor.problems import Problem
from gqm.monitor.request import Request, decoded

if TYPE_CHECKING:
    from gqm.monitor.context import Context
    from gqm.monitor.settings import Settings

log = logging.getLogger("gqm.api")

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "json": "application/json",
    "map": "application/json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "ico": "image/x-icon",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "eot": "application/vnd.ms-fontobject",
    "txt": "text/plain; charset=utf-8",
    "webmanifest": "application/manifest+json",
}
_MAX_FILE = 32 * 1_048_576


class _File(NamedTuple):
    stamp: tuple[int, int]
    body: bytes
    tag: str


class Files:
    """Reads files below one folder and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self.built_in = settings.custom_dir is None
        self.root = (settings.custom_dir or built_in_folder()).resolve()
        self._lock = threading.Lock()
        self._read: dict[Path, _File] = {}
        if settings.dashboard and settings.custom_dir is not None:
            self._check_own(settings.custom_dir)

    def _check_own(self, folder: Path) -> None:
        if not (folder / "index.html").is_file():
            raise ConfigError(f"monitoring.dashboard.custom_dir: no index.html in {folder}")
        from gqm import __version__

        if self.version != __version__:
            text = "the dashboard in %s is of version %s; this is %s: export it anew if something looks wrong"
            log.warning(text, folder, self.version, __version__)

    @property
    def version(self) -> str:
        """Version of the dashboard that the files belong to."""
        from gqm import __version__

        try:
            return (self.root / "VERSION").read_text("utf-8").strip()[:40] or __version__
        except (OSError, UnicodeDecodeError):
            return __version__

    def find(self, rest: str) -> tuple[_File, str] | None:
        """Return a file and its media type; ``rest`` is the path below the prefix as it was sent."""
        lowered = rest.lower()
        if any(part in lowered for part in ("%2e", "%00", "%2f", "%5c", "\\")):
            return None
        segments = [decoded(part) for part in rest.split("/")]
        if segments[-1] == "" or "." not in segments[-1]:
            segments = ["index.html"]
        if any(not part or part.startswith(".") or "\0" in part or "\\" in part for part in segments):
            return None
        media_type = MEDIA_TYPES.get(segments[-1].rpartition(".")[2].lower())
        if media_type is None:
            return None
        found = self._load(self.root.joinpath(*segments))
        return None if found is None else (found, media_type)

    def _load(self, path: Path) -> _File | None:
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self.root) or not real.is_file():
                return None
            facts = real.stat()
            stamp = (facts.st_mtime_ns, facts.st_size)
            with self._lock:
                known = self._read.get(real)
            if known is not None and known.stamp == stamp:
                return known
            if facts.st_size > _MAX_FILE:
                return None
            body = real.read_bytes()
        except (OSError, ValueError, RuntimeError):  # RuntimeError: symlinks in a circle
            return None
        file = _File(stamp, body, hashlib.sha256(body).hexdigest()[:32])
        with self._lock:
            self._read[real] = file
        return file


def built_in_folder() -> Path:
    """Return the folder of the dashboard that comes with GQM: in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "web_static"
    return inside if inside.is_dir() else package.parent / "web_static"


# --------------------------------------------------------------------------------------- the answers


def tagged(request: Request, body: bytes, media_type: str, tag: str, *, built_in: bool = False) -> Plain:
    """Answer with a body that has a tag, or with 304 if the client has it already."""
    headers = (("ETag", f'"{tag}"'), ("Cache-Control", "no-cache"))
    asked = request.header("HTTP_IF_NONE_MATCH") or ""
    known = {item.strip().removeprefix("W/").strip('"').removesuffix("-gz") for item in asked.split(",")}
    if tag in known or asked.strip() == "*":
        return Plain(b"", media_type, 304, headers, built_in)
    return Plain(body, media_type, 200, headers, built_in)


def file(context: Context, request: Request) -> Plain:
    """Answer with a file of the dashboard."""
    prefix = context.settings.path_prefix
    rest = request.path.removeprefix(prefix + "/")
    if rest == "config.json":
        return _config(context, request)
    found = context.files.find(rest)
    if found is None:
        raise Problem("NOT_FOUND", f"there is no such file: {request.path[:200]}")
    read, media_type = found
    return tagged(request, read.body, media_type, read.tag, built_in=context.files.built_in)


def _config(context: Context, request: Request) -> Plain:
    from gqm import __version__

    data = {
        "api": f"{request.mount}/api/v1",
        "auth": f"{request.mount}/auth",
        "version": __version__,
        "dashboard_version": context.files.version,
        "sse": context.settings.hooks.sse,
    }
    body = msgspec.json.encode(data)
    return tagged(request, body, "application/json", hashlib.sha256(body).hexdigest()[:32])


def to_dashboard(context: Context, request: Request) -> Plain:
    """Send a browser to the dashboard."""
    query = f"?{request.query}" if request.query else ""
    target = f"{request.mount}{context.settings.path_prefix}/{query}"
    if any(char in target for char in "\r\n"):
        raise Problem("BAD_REQUEST", "the query holds line ends")
    headers = (("Location", target), ("Cache-Control", "no-cache"))
    return Plain(b"", "text/plain; charset=utf-8", 302, headers)
