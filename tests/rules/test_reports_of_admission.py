"""The report of admission that a municipality sends to the hospital: asked for, here, or missing (01 §16)."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from streams.messages.legacy.document import write
from streams.messages.legacy.report import is_report, read_report
from streams.person.row import PersonRow
from streams.relay.intake import Intake
from streams.relay.letters import take_letter
from streams.relay.rollcall import known_stays, report_figures
from streams.words.errors import Rejected
from streams.words.ids import Lane as LaneId
from streams.words.model import Fate, ReportArrived
from streams.words.times import COPENHAGEN
from tests.rules.hospital_tables import IDS
from tests.rules.lanes import Lane, Otherwise, context, registers
from tests.rules.letter_stories import CPR, STAY, letter
from tests.rules.stay_events import VISIT, clock

HOURS = timedelta(hours=1)

XML = f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2007/02/01/">
  <Envelope><Sent><Date>2026-03-01</Date><Time>10:30</Time></Sent><Identifier>MU000000000001</Identifier></Envelope>
  <ReportOfAdmission>
    <Letter><Identifier>MU000000000001</Identifier><VersionCode>XD1630C</VersionCode>
      <StatisticalCode>XDIS16</StatisticalCode>
      <Authorisation><Date>2026-03-01</Date><TimeWithSec>10:30:05</TimeWithSec></Authorisation>
      <EpisodeOfCareIdentifier>{STAY}</EpisodeOfCareIdentifier></Letter>
    <Sender><EANIdentifier>2990000004611</EANIdentifier><Identifier>461</Identifier></Sender>
    <Patient><CivilRegistrationNumber>{CPR}</CivilRegistrationNumber></Patient>
    <Relatives><Text>not read</Text></Relatives>
  </ReportOfAdmission>
</Emessage>
""".encode("latin-1")
NEWER = XML.replace(
    b"http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2007/02/01/", b"urn:oio:medcom:municipality:1.0.3"
)
EDIFACT = (
    f"UNB+UNOC:3+2990000004611:14+2990000000415:14+260301:1030+MU000000000001'"
    f"UNH+MU000000000001+MEDDIS:D:93A:UN:D1630C+DIS16'BGM+RPT++9'DTM+137:20260301103005:204'PNA+PAT+{CPR}:::CPR:IM'"
    f"RFF+REI:{STAY}'UNT+6+MU000000000001'UNZ+1+MU000000000001'"
).encode("latin-1")


@pytest.mark.parametrize("data", [XML, NEWER, EDIFACT, XML.replace(STAY.encode(), VISIT.encode())])
def test_report_is_read_for_whose_it_is(data: bytes) -> None:
    report = read_report(data)
    assert (report.letter_id, report.sender_gln, report.cpr) == ("MU000000000001", "2990000004611", CPR)
    assert report.stays == (STAY.lower(),)
    assert report.written == datetime(2026, 3, 1, 10, 30, 5, tzinfo=COPENHAGEN)
    assert CPR not in repr(report)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (XML.replace(CPR.encode(), b"0000000000"), "no-official-cpr"),
        (XML.replace(b"<EANIdentifier>2990000004611</EANIdentifier>", b""), "04 §15.5"),
        (XML.replace(b"</Emessage>", b""), "04 §10"),
        (EDIFACT[:-10], "04 §11"),
    ],
)
def test_report_of_nobody_is_refused(data: bytes, rule: str) -> None:
    assert is_report(data)
    with pytest.raises(Rejected) as caught:
        read_report(data)
    assert caught.value.rule == rule


# ---- to its stay -----------------------------------------------------------------------------------------------------


def taken(data: bytes, row: PersonRow | None = None, **more: Any) -> Intake:
    known = {"key": IDS.person(CPR), "origin": "letters.raw/0/9", "headers": {}, "at": clock("11:00"), "ids": IDS}
    return take_letter(data, row, **{**known, "registers": registers(), **more})


def row_of_stay() -> PersonRow:
    """Of the person, admitted at eight."""
    admitted = take_letter(
        write(letter("20 nytbrev 1/08:00 indlagt"), "edifact"), None, key=IDS.person(CPR), origin="letters.raw/0/1",
        headers={}, at=clock("08:02"), ids=IDS, registers=registers(),
    )  # fmt: skip
    assert admitted.row is not None
    return admitted.row


@pytest.mark.parametrize("data", [XML, NEWER, EDIFACT])
def test_report_reaches_the_lane_of_its_stay(data: bytes) -> None:
    row = row_of_stay()
    result = taken(data, row)
    [visit] = row.visits
    assert result.report == (
        visit.lane,
        ReportArrived(at=clock("11:00"), visit=visit.local, letter_id="MU000000000001"),
    )
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.NOT_SUBJECT, "report-of-admission")
    assert (result.row, result.receipts) == (row, ())


def test_report_of_a_stay_that_is_not_relayed_is_counted() -> None:
    result = taken(XML)
    assert result.outcome is not None
    assert (result.outcome.reason, result.report) == ("report-without-stay", None)


def test_report_without_its_key_goes_on_under_it() -> None:
    assert [copy.key for copy in taken(XML, key="").pass_on] == [IDS.person(CPR)]


def test_report_that_cannot_be_read_is_refused() -> None:
    result = taken(EDIFACT[:-10])
    assert result.outcome is not None
    assert (result.outcome.fate, result.rejected is not None) == (Fate.REFUSED, True)


# ---- in the lane -------------------------------------------------------------------------------------------------------


def lane(hours: int = 24) -> Lane:
    """One where the report is agreed to come within so many hours; 0: nothing is agreed."""
    return Lane(context(Otherwise(report_within=hours * HOURS)))


def state(of: Lane) -> str | None:
    assert of.row is not None
    [known] = known_stays([(LaneId("0" * 8), of.row)])
    return known.report


def arrives(of: Lane, at: str) -> None:
    of.take(ReportArrived(at=clock(at), visit=VISIT, letter_id="MU1"))


def test_report_is_asked_for_by_a_start_and_arrives() -> None:
    one = lane().play("A01 08:00")
    assert state(one) == "asked"
    arrives(one, "10:00")
    assert state(one) == "arrived"
    one.elapse(clock("3/08:00"))
    assert [alarm for alarm in one.alarms if alarm.reason == "report-missing"] == []


def test_report_that_does_not_come_is_a_case() -> None:
    one = lane().play("A01 08:00").elapse(clock("2/07:59"))
    assert state(one) == "asked"
    one.elapse(clock("2/08:02"))
    assert state(one) == "missing"
    assert one.row is not None
    [(name, case)] = one.row.cases.items()
    assert (case.case.reason, case.visit, case.state) == ("report-missing", VISIT, "admitted")
    assert [(a.word, a.message_id) for a in one.alarms if a.reason == "report-missing"] == [("case:open", name)]


def test_late_report_closes_its_case() -> None:
    one = lane().play("A01 08:00").elapse(clock("2/08:02"))
    arrives(one, "2/09:00")
    assert one.row is not None
    assert (state(one), one.row.cases) == ("arrived", {})


@pytest.mark.parametrize("then", ["A03 20:00", "A11 20:00"])
def test_nothing_is_missing_of_a_stay_that_is_over(then: str) -> None:
    one = lane().play("A01 08:00", then).elapse(clock("2/08:02"))
    assert one.row is not None
    assert [case for case in one.row.cases.values() if case.case.reason == "report-missing"] == []


def test_without_an_agreement_nothing_is_missing() -> None:
    one = lane(0).play("A01 08:00").elapse(clock("20/08:00"))
    assert one.row is not None
    assert (state(one), one.row.reports) == ("asked", {})


def test_report_of_an_unknown_stay_changes_nothing() -> None:
    one = lane()
    arrives(one, "10:00")
    assert one.row is None


def test_figures_are_counted_by_region() -> None:
    here, late = lane().play("A01 08:00"), lane().play("A01 08:00").elapse(clock("2/08:02"))
    arrives(here, "10:00")
    rows = [(LaneId(f"{number:08d}"), one.row) for number, one in enumerate((here, late)) if one.row is not None]
    [row] = report_figures(known_stays(rows), lambda code: "1083" if code == "0461" else "1082")
    assert {name: row[name] for name in ("region", "asked", "arrived", "missing", "waited_for")} == {
        "region": "1083", "asked": 2, "arrived": 1, "missing": 1, "waited_for": 0
    }  # fmt: skip
    assert [town["kommunekode"] for town in row["municipalities"]] == ["0461"]
