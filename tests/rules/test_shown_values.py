"""What a value shows of itself in a log, a trace or a failed test: what it is and which, and nothing of any person."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec

from streams.envelopes import beskedkuvert, sbdh, vans
from streams.formats.hl7v2 import read as read_adt
from streams.messages.hospitalnotification import read
from streams.messages.legacy.report import read_report
from streams.messages.openstay import OpenStay
from streams.receiver.inbox import Reception
from streams.records.trace import created
from streams.words.codes import Notice
from streams.words.ids import Ids
from streams.words.model import EventKind
from tests.meanings import adt, test_sbdh, test_vans
from tests.meanings.inbox_records import reception_after
from tests.meanings.notifications import about, bundle, notification
from tests.meanings.test_beskedkuvert import COPY
from tests.meanings.waybills import TRANSPORT, waybill
from tests.rules.lanes import Lane
from tests.rules.letter_stories import letter
from tests.rules.persons import CPR, IDS, Intake
from tests.rules.persons import event as reported
from tests.rules.stay_events import VISIT, event
from tests.rules.test_reports_of_admission import XML as REPORT

NOTE: Final = notification(Notice.STIN)
FOLDERS: Final = (
    *("words", "formats", "person", "stay", "delivery", "records", "messages", "envelopes"),
    *("relay", "receiver", "registry"),
)


OPEN_STAY: Final = b"""{"feed": "EPJ-SYD/OUH", "visit_number": "1", "cpr": "2512489996", "family": "Berggren",
    "kommunekode": "0461", "start": "2026-03-01T08:00:00+01:00", "state": "admitted", "facility": "OUH"}"""


def values() -> Iterator[tuple[Any, str]]:
    """A value of every class that shows itself in its own way, and what it shows."""
    arrived, document = event("A01 08:00")[0], read_adt(adt.er7("A01"))
    lane, table = Lane().play("A01 08:00"), Intake()
    assert lane.row is not None
    row = table.take(reported(EventKind.START)).row
    [visit] = lane.row.visits.values()
    reception, _ = reception_after(Reception(), "first STIN")
    opened = vans.open_envelope(test_vans.sealed())
    yield arrived, f"StayEvent(start, A01, lane={arrived.lane})"
    yield arrived.patient, "Patient(******)"
    yield arrived.snapshot, "Snapshot(******)"
    yield Ids(b"a secret of the test suite"), f"Ids(key_id={IDS.key_id!r})"
    yield reported(EventKind.START, part=2), "Reported(StayEvent(start, A01, lane=), part=2)"
    yield row, "PersonRow(1 visits)"
    yield visit, f"Visit({VISIT}, admitted)"
    yield document, f"Document({len(document.data)} bytes, 4 segments)"
    yield document.first("PID"), "Segment(PID)"
    yield opened, f"Opened(message, {opened.envelope_id})"
    sealed = sbdh.open_envelope(test_sbdh.envelope())
    yield sealed, f"OpenedSbdh({sealed.content_kind}, {sealed.envelope_id})"
    opened_besked = beskedkuvert.open_envelope(beskedkuvert.seal(b"{}", waybill()))
    yield opened_besked, f"OpenedBesked({TRANSPORT})"
    yield COPY, f"Copy({TRANSPORT}, odense-eoj)"
    yield waybill(), f"Waybill(MCM:FDIS20#AdmissionInpatient, {TRANSPORT})"
    yield lane.letters[0], f"Dispatch(STIN, {lane.last.message_id})"
    step = created(about(NOTE), bundle_id="b", recorded=NOTE.assembled + timedelta(1), device_id="d")
    yield step, "TraceEvent(msg-created, hospital-notification-message, outcome=0)"
    yield read(bundle(NOTE)), f"HospitalNotification(STIN, {NOTE.message_id})"
    yield letter("20 nytbrev 1/08:00 indlagt"), "Letter(20, nytbrev, XX000000000001)"
    yield msgspec.json.decode(OPEN_STAY, type=OpenStay), "OpenStay(EPJ-SYD/OUH, admitted)"
    yield read_report(REPORT), "ReportOfAdmission(MU000000000001)"
    yield reception, "Reception(1 messages)"
    yield reception.subscriber.stays[0], "StayView(1 messages)"


def test_value_shows_what_it_is_and_no_person() -> None:
    found = list(values())
    assert [repr(value) for value, _ in found] == [shown for _, shown in found]
    assert not [shown for _, shown in found if CPR in shown or "Berggren" in shown]


def test_every_value_with_words_of_its_own_is_tested() -> None:
    assert {type(value) for value, _ in values()} == set(_own())


def _own() -> Iterator[type]:
    """The classes of the product's rules that show themselves in their own way."""
    for name in FOLDERS:
        package = importlib.import_module(f"streams.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"streams.{name}."):
            loaded = importlib.import_module(module.name)
            for _, one in inspect.getmembers(loaded, inspect.isclass):
                if one.__module__ == module.name and "def __repr__" in inspect.getsource(one):
                    yield one
