"""A broker that keeps no rights: no user is made there, and doctor warns of it."""

import json
from pathlib import Path

import pytest

from streams.cli.frame import Code
from streams.kafka.local import LocalBroker
from tests.end_to_end.outside import Outside

pytestmark = pytest.mark.real


async def test_without_authorizer_no_user_is_made(real: LocalBroker, tmp_path: Path) -> None:
    ended = await Outside.at(real.bootstrap, tmp_path).stafet("access", "apply", "--yes")
    [problem, hint] = ended.err.splitlines()
    assert ended.code == Code.FAILED
    assert "no authorizer (authorizer.class.name): it keeps no rights; nothing was made" in problem
    assert "super.users" in hint
    assert list(tmp_path.rglob("*.password")) == []


async def test_doctor_warns_that_everybody_may_do_everything(real: LocalBroker, tmp_path: Path) -> None:
    looked = await Outside.at(real.bootstrap, tmp_path).stafet("doctor", "--json")
    found = {look["what"]: look for look in json.loads(looked.out)}
    assert found["rights"]["warning"]
    assert found["rights"]["found"] == "the broker has no authorizer: everybody may do everything"
    assert "everybody may write to receipts.raw" in found["receipts"]["found"]
