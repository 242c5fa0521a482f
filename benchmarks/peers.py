"""PySyncObj beside rafty: from the package index, in a virtual environment of its own.

Law: *what cannot be installed is left out with a sentence, and everything else is measured.*
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.processes import BenchmarkError

REQUIREMENT = "pysyncobj==0.3.17"

INSTALL_SECONDS = 120.0


def cache_directory() -> Path:
    """Where environments are kept between runs, unless the user chooses another place."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rafty-benchmarks"


def pysyncobj_python(cache: Path) -> str:
    """The interpreter of an environment with PySyncObj; made if it is not there. Raises `BenchmarkError`."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    home = cache / f"{REQUIREMENT.replace('==', '-')}-python{version}"
    python = home / "bin" / "python"
    if not works(python):
        try:
            venv.create(home, clear=True, with_pip=True)
            command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", REQUIREMENT]
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except subprocess.CalledProcessError as error:
            words = error.stderr.decode(errors="replace").strip().splitlines()
            reason = words[-1] if words else f"exit status {error.returncode}"
            raise BenchmarkError(f"{REQUIREMENT} could not be installed into {home}: {reason}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BenchmarkError(f"{REQUIREMENT} could not be installed into {home}: {error}") from error
        if not works(python):
            raise BenchmarkError(f"{REQUIREMENT} was installed into {home}, but cannot be imported there")
    return str(python)


def works(python: Path) -> bool:
    """Whether this interpreter is there and has PySyncObj."""
    if not python.exists():
        return False
    command = [str(python), "-c", "import pysyncobj"]
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
