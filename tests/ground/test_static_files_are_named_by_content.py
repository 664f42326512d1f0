"""Production's static files: whatever a page or a script loads is named by its content."""

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

from cms_project.environment import NAMES
from tests import throwaway
from tests.database import ROOT
from tests.script_check import scripts

IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["'](\.{1,2}/[^"']+)["']""")

# Compressed less than in production: what makes the files smallest takes a quarter of a minute.
COLLECT = """
import sys
import brotli
from manage import main
from whitenoise.compress import Compressor
Compressor.compress_brotli = staticmethod(lambda data: brotli.compress(data, quality=1))
sys.argv = ["manage.py", "collectstatic", "--noinput", "-v0"]
main()
"""


def test_scripts_import_each_other_by_content(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in NAMES}
    subprocess.run(
        [sys.executable, "-c", COLLECT],
        env={**clean, **throwaway.values(DATA_DIR=str(tmp_path))},
        cwd=ROOT,
        check=True,
        timeout=120,
        umask=0o077,  # root's may be so
    )
    static = tmp_path / "static"
    names = json.loads((static / "staticfiles.json").read_text())["paths"]
    found = {str(path).rpartition("/static/")[2] for path in scripts()}
    assert found >= {"content/admin/js/form.js", "accounts/js/passkeys.js"}
    for ending in ("br", "gz"):
        assert (static / f"{names['content/admin/js/form.js']}.{ending}").is_file()
    for name in found:
        script = static / names[name]
        for imported in IMPORT.findall(script.read_text()):
            assert re.search(r"\.[0-9a-f]{12}\.js$", imported), (name, imported)
            assert (script.parent / imported).is_file(), (name, imported)
    # The server that reads them is of another account than who collected them.
    assert [path for path in (static, *static.rglob("*")) if not path.stat().st_mode & stat.S_IROTH] == []
    assert [
        path for path in static.rglob("*") if path.is_dir() and not path.stat().st_mode & stat.S_IXOTH
    ] == []
