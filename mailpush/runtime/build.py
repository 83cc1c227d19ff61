"""What the pages need before the web process serves them: npm packages, translations, collected static files.

Each step runs only where its sources changed since its last run; their fingerprints are kept in the data folder.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command

from mailpush.runtime import npm
from mailpush.runtime.locks import locked

# The installed packages are shared by all data folders, so they carry a stamp of their own.
INSTALLED = npm.MODULES_DIR / ".mailpush-lock"
OTHERS_BUILD_WITHIN = 600.0  # seconds, for another data folder of the same sources


def build(say: Callable[[str], None] = lambda _line: None) -> None:
    """Bring packages, translations and static files up to date."""
    if not _has_prepared_sources():
        with locked(npm.LOCK_FILE, patience=OTHERS_BUILD_WITHIN):  # npm's own file: there is always one
            _prepare_sources(say)
    static = _fingerprint(_static_sources())
    if not _is_collected(static):
        say("Collecting static files…")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        _stamp().write_text(json.dumps({"static": static}))


def is_built() -> bool:
    """Return whether `build` would find nothing to do."""
    return _has_prepared_sources() and _is_collected(_fingerprint(_static_sources()))


def _has_prepared_sources() -> bool:
    """Return whether what all data folders share is up to date."""
    return _is_installed() and all(map(_is_compiled, _catalogs()))


def _prepare_sources(say: Callable[[str], None]) -> None:
    if not _is_installed():
        npm.install(say)
        INSTALLED.write_text(_lock_hash())
    for catalog in _catalogs():
        if not _is_compiled(catalog):
            _compile(catalog)


def _is_installed() -> bool:
    return INSTALLED.exists() and INSTALLED.read_text() == _lock_hash()


def _lock_hash() -> str:
    return hashlib.sha256(npm.LOCK_FILE.read_bytes()).hexdigest()


def _is_compiled(catalog: Path) -> bool:
    target = catalog.with_suffix(".mo")
    return target.exists() and target.stat().st_mtime >= catalog.stat().st_mtime


def _is_collected(static: str) -> bool:
    """Return whether the files of this fingerprint are the ones collected."""
    if not (settings.PLACES.static / "staticfiles.json").exists():
        return False
    try:
        return bool(json.loads(_stamp().read_text()).get("static") == static)
    except (FileNotFoundError, ValueError):
        return False


def _stamp() -> Path:
    return Path(settings.PLACES.data / "build.json")


def _catalogs() -> list[Path]:
    return sorted(path for folder in settings.LOCALE_PATHS for path in Path(folder).glob("*/LC_MESSAGES/*.po"))


def _compile(catalog: Path) -> None:
    target = catalog.with_suffix(".mo")
    with catalog.open("rb") as source:
        messages = read_po(source, locale=catalog.parent.parent.name.replace("-", "_"))
    draft = target.with_suffix(".mo.new")
    with draft.open("wb") as sink:
        write_mo(sink, messages)
    draft.replace(target)


def _static_sources() -> Iterable[Path]:
    for finder in get_finders():
        for path, storage in finder.list([]):
            yield Path(storage.path(path))


def _fingerprint(paths: Iterable[Path]) -> str:
    """Return a hash over names, sizes and times: reading the content would cost more than it tells."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
