"""What a worker and a gateway load of the product: few modules, so that a stranger can name them."""

import subprocess
import sys
from statistics import median

from tests.test_floor_plan import MODULES, ROOT, _imports

_SCRIPT = """
import sys
import agents.start.run, streams.gateway.run
print(*(name for name in sys.modules if name.split(".")[0] in ("streams", "agents")))
"""
#: Modules with code in them; a folder that is empty but for its files is none.
MOST = 127  # legacy letters are read and written by every worker; stays that stand are taken over


def test_relay_and_gateway_load_few_modules() -> None:
    ran = subprocess.run([sys.executable, "-c", _SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = [name for name in ran.stdout.split() if MODULES[name].stat().st_size]
    assert len(loaded) > 50
    assert len(loaded) <= MOST, sorted(loaded)


def test_module_imports_few_of_ours_at_median() -> None:
    own = {name: {each.name for each in _imports(name) if each.name in MODULES} for name in MODULES}
    assert median(len(names) for name, names in own.items() if MODULES[name].name != "__init__.py") <= 5


def test_top_of_house_has_few_doors() -> None:
    doors = [path for path in (ROOT / "streams").iterdir() if path.name not in ("__init__.py", "__pycache__")]
    assert len(doors) <= 18
