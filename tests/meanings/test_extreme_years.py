"""Times at both ends of the calendar, in every kind of document: judged like others, never a fault of ours.

Year 1 and year 9999 have instants that no other zone can show; a reader that turns them into one fails.
"""

import re
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from streams.cli.judge import judge
from streams.envelopes import vans
from streams.formats.fhir.build import to_json, to_xml
from streams.messages.acknowledgement import write
from streams.receiver.inbox import Reception, take
from streams.receiver.stays import play
from streams.relay.receipts import take_receipt
from streams.relay.replay import Replay
from streams.words.codes import Notice
from tests.meanings.notifications import IDS, bundle, notification
from tests.meanings.test_edsevent import BDS, PDS
from tests.rules.lanes import registers
from tests.rules.test_replay import adt, home

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
NOTICES = (Notice.STIN, Notice.STOR, Notice.SLOR, Notice.SLHJ, Notice.AN_SLHJ)
MESSAGES = [to_json(bundle(notification(notice))) for notice in NOTICES]
ID = "0b5c2f0e-9a53-4a3e-8d0f-2f6b7f0f5a11"
ANSWER = to_json(write(orjson.loads(MESSAGES[0]), "ok", header_id=ID, envelope_id=ID, at=AT))
ENVELOPE = vans.seal_message(
    MESSAGES[0],
    sender_gln="5790001382445",
    receiver_gln="5790000209354",
    transport_id=ID,
    message_id=ID,
    sent=AT,
    name="MCM:FDIS20#STIN",
    version="3.0",
    media_type="application/fhir+json",
)

FHIR = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
EXTREMES = [
    b"0001-01-01T00:00:00+14:00",
    b"0001-01-01T00:00:00.001+01:00",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59Z",
    b"9999-12-31T23:59:59-12:00",
    b"9999-12-31T23:59:60.999-00:00",
]
HL7 = re.compile(rb"(?<=\|)20\d{12}[+-]\d{4}(?=[|\r])")
HL7_EXTREMES = [
    b"00010101000000+1400",
    b"000101010000",
    b"99991231235959-1400",
    b"99981231235959-2359",
    b"00020101+2300",
]


def each(data: bytes, form: re.Pattern[bytes], extreme: bytes) -> list[bytes]:
    """The document with each of its times so, and with all of them so."""
    places = [found.span() for found in form.finditer(data)]
    assert places
    return [*(data[:start] + extreme + data[end:] for start, end in places), form.sub(extreme, data)]


@pytest.mark.parametrize("extreme", EXTREMES, ids=bytes.decode)
@pytest.mark.parametrize(
    "data",
    [
        *MESSAGES,
        to_xml(orjson.loads(MESSAGES[2])),
        ANSWER,
        ENVELOPE,
        orjson.dumps(PDS),
        orjson.dumps(BDS),
    ],
    ids=[*NOTICES, "XML", "acknowledgement", "envelope", "event of a patient", "event"],
)
def test_document_of_extreme_year_is_judged(data: bytes, extreme: bytes) -> None:
    for changed in each(data, FHIR, extreme):
        assert judge(changed)["kind"] == judge(data)["kind"]


@pytest.mark.parametrize("extreme", EXTREMES[:-1], ids=bytes.decode)
def test_municipality_answers_and_shows_message_of_extreme_year(extreme: bytes) -> None:
    for data in MESSAGES:
        for changed in each(data, FHIR, extreme):
            lines: list[dict[str, Any]] = play([("before", data), ("extreme", changed), ("after", MESSAGES[0])])
            assert lines[0]["acknowledgement"] == "ok"
            _, receipts = take(Reception(), changed, AT)
            assert len(receipts) == 1


@pytest.mark.parametrize("coarse", ["0000", "0001", "2026", "9999-12", "2026-03-02", "0001-01-01"])
@pytest.mark.parametrize("element", ["start", "end", "occurredDateTime"])
def test_time_without_zone_is_refused_where_it_is_shown(element: str, coarse: str) -> None:
    form = re.compile(rb'(?<="%s":")[^"]+' % element.encode())
    for data in MESSAGES:
        if not form.search(data):
            continue
        (line,) = play([("coarse", form.sub(coarse.encode(), data))])
        assert line["acknowledgement"] == "fatal-error"
        assert {issue["rule"] for issue in line["issues"] if issue["severity"] == "error"} == {"7.1"}


@pytest.mark.parametrize("extreme", EXTREMES, ids=bytes.decode)
def test_receipt_of_extreme_year_is_taken_or_refused(extreme: bytes) -> None:
    for changed in each(ANSWER, FHIR, extreme):
        taken = take_receipt(changed, origin="receipts.raw/0/1", at=AT, ids=IDS)
        assert taken.record is not None or taken.rejected is not None


@pytest.mark.parametrize("extreme", HL7_EXTREMES, ids=bytes.decode)
def test_adt_message_of_extreme_year_leads_to_line(extreme: bytes) -> None:
    for data in (adt("A01"), home()):
        for changed in each(data, HL7, extreme):
            replay = Replay(registers())
            assert replay.play(adt("A01", control="K0"))
            assert replay.play(changed)
