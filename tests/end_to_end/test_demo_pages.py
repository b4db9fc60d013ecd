"""`stafet demo --serve` from outside: one address, shipments that come in, a balance that closes, an end by Ctrl-C."""

import re
import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.outside import STAFET

pytestmark = pytest.mark.timeout(240)


def test_demo_shows_its_records_as_pages_until_ctrl_c(tmp_path: Path) -> None:
    words = [STAFET, "demo", "--serve", "--stays", "12", "--municipalities", "4"]
    with subprocess.Popen(  # our own words only
        words, cwd=tmp_path, env={"PATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as played:
        try:
            assert played.stdout is not None
            assert played.stderr is not None
            address = next(found[1] for line in played.stdout if (found := re.match(r"open (http://127\.\S+/)$", line)))
            early = httpx.get(address)  # while it plays
            assert early.status_code == 200
            assert "DEMO" in early.text
            assert next(line for line in played.stderr if "stays open" in line)
            late = httpx.get(f"{address}afstemning", params={"periode": "30d"}).text
            shown = httpx.get(f"{address}forsendelser").text
            played.send_signal(signal.SIGINT)
            rest, _ = played.communicate(timeout=30)
        finally:
            played.kill()
    assert played.returncode == 0
    assert 'id="difference" data-n="0"' in late
    made = re.search(r'data-line="notifications" data-n="(\d+)"', late)
    total = re.search(r'id="total" data-total="(\d+)"', shown)
    assert made is not None
    assert total is not None
    assert int(made[1]) == int(total[1]) > 0
    assert "difference 0" in rest
    assert not any(tmp_path.iterdir()), "a demo leaves nothing behind"
