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


def build(say: Callable[[str], None] = lambda _line: None) -> None:
    """Bring packages, translations and static files up to date."""
    stamp = settings.PLACES.data / "build.json"
    done = _read(stamp)
    # The installed folder is shared by all data folders: it carries its own stamp.
    installed = npm.MODULES_DIR / ".mailpush-lock"
    wanted = hashlib.sha256(npm.LOCK_FILE.read_bytes()).hexdigest()
    if not installed.exists() or installed.read_text() != wanted:
        say("Installing the front-end packages…")
        npm.install()
        installed.write_text(wanted)

    for catalog in _catalogs():
        _compile(catalog)

    static = _fingerprint(_static_sources())
    if done.get("static") != static or not (settings.PLACES.static / "staticfiles.json").exists():
        say("Collecting static files…")
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        stamp.write_text(json.dumps({"static": static}))


def _catalogs() -> list[Path]:
    return sorted(path for folder in settings.LOCALE_PATHS for path in Path(folder).glob("*/LC_MESSAGES/*.po"))


def _compile(catalog: Path) -> None:
    target = catalog.with_suffix(".mo")
    if target.exists() and target.stat().st_mtime >= catalog.stat().st_mtime:
        return
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


def _read(stamp: Path) -> dict[str, str]:
    try:
        return dict(json.loads(stamp.read_text()))
    except (FileNotFoundError, ValueError):
        return {}
