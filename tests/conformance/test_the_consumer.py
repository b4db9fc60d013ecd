"""The acknowledgements of the consumer in docs/receive pass HL7's own validation code: vendors copy them."""

import base64
import json
import re
from types import ModuleType

import pytest

from tests.conformance.referee import ACKNOWLEDGEMENT, Referees
from tests.test_receive import consumer, sample

__all__ = ["consumer"]  # the fixture

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]


@pytest.mark.parametrize("fault", ["", "Encounter.class is missing"])
def test_answer_of_consumer(referee: Referees, consumer: ModuleType, fault: str) -> None:
    consumer.fault_of = lambda bundle: fault
    [data] = re.findall(rb"<Data>(.*)</Data>", consumer.receipt(sample("notification.xml")))
    payload = base64.b64decode(data)
    assert json.loads(payload)["entry"][0]["resource"]["response"]["code"] == ("fatal-error" if fault else "ok")
    for one in referee.both:
        verdict = one.judge(payload, "json", ACKNOWLEDGEMENT)
        assert verdict.clean, f"{one.name} set:\n{verdict}"
