"""Fetches what tests of the page need from npm: a Chromium, and axe-core, which looks at pages.

    python tools/fetch_chromium.py [--into .chromium]

The npm package @sparticuz/chromium holds one, packed. Covered: Linux on x86-64, with npm and node.
Not covered: other systems, whose own Chromium or Chrome the tests find (or CHROMIUM=/path/to/it
names it).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from tools import npm

PACKAGE = "@sparticuz/chromium"
AXE = "axe-core"
WANTED = (f"{PACKAGE}@153.0.0", f"{AXE}@4.14.1")

# Python's library has no Brotli, node's has.
_UNPACK = """
const fs = require('fs'), zlib = require('zlib'), { pipeline } = require('stream');
const [from, to] = process.argv.slice(1);
pipeline(fs.createReadStream(from), zlib.createBrotliDecompress(), fs.createWriteStream(to),
  error => { if (error) { console.error(String(error)); process.exit(1); } });
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch it, unless it is there already."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--into", type=Path, default=Path(".chromium"), metavar="FOLDER")
    folder: Path = parser.parse_args(argv).into
    program, stamp = folder / "chromium", folder / "version"
    if program.is_file() and stamp.is_file() and stamp.read_text().split() == list(WANTED):
        print(f"{program} is there")
        return 0
    missing = npm.missing("npm", "node")
    if missing or sys.platform != "linux":
        print(f"needs Linux and {' and '.join(missing) or 'npm'}; see the head of this file")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    modules = npm.fetched(folder / "npm", WANTED)
    shutil.copy(modules / AXE / "axe.min.js", folder)
    packed = modules / PACKAGE / "bin"
    _unpack(packed / "chromium.br", program)
    program.chmod(0o755)
    if _lacks_libraries(program):
        _unpack_libraries(packed / "al2023.tar.br", folder)
    shutil.rmtree(folder / "npm")
    stamp.write_text("\n".join(WANTED))
    print(f"{program}: {program.stat().st_size / 1e6:.0f} MB")
    return 0


def _unpack(packed: Path, target: Path) -> None:
    subprocess.run([npm.program("node"), "-e", _UNPACK, str(packed), str(target)], check=True)


def _unpack_libraries(packed: Path, folder: Path) -> None:
    """The libraries that it comes with: for systems that have not those of a desktop."""
    tar = folder / "lib.tar"
    _unpack(packed, tar)
    with tarfile.open(tar) as archive:
        archive.extractall(folder, filter="data")
    tar.unlink()


def _lacks_libraries(program: Path) -> bool:
    asked = subprocess.run(
        [npm.program("ldd"), str(program)], capture_output=True, text=True, check=False
    )
    return "not found" in asked.stdout


if __name__ == "__main__":
    raise SystemExit(main())
