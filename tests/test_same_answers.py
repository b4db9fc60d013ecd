"""What the product answers to documents that are damaged in every place: the findings word for word, and what is read.

Each file of tests/answers has the answers of one kind of document: a line per answer and below it the damage that leads
there. `pytest tests/test_same_answers.py --update-golden` writes them again; the diff is what is reviewed.
"""

import itertools
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec
import orjson
import pytest

from agents.worker.letters import lane_letter
from streams.envelopes import sbdh, vans
from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_json, from_xml, read_xml
from streams.formats.fhir.shapes import PRIMITIVES, TESTS
from streams.formats.hl7v2 import read as parse
from streams.kafka.records import decode_lane_record, encode_lane_record
from streams.messages import acknowledgement, edsevent, hospitalnotification
from streams.messages.adt.feed import FeedProfile
from streams.messages.adt.inspect import inspect as adt_reading
from streams.messages.adt.read import events as read_events
from streams.messages.legacy.inspect import inspect as legacy_reading
from streams.receiver.inbox import Reception
from streams.registry import inspect_registers
from streams.relay.replay import Replay
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.ids import Lane
from streams.words.model import (
    ReceiptIssue,
)
from tests.damage import csv_cells, edifact, er7, json_places, toml_lines, xml, xml_texts
from tests.elements import EHMI_WORDS, TEXTS, WORDS, other_entries, with_one_more
from tests.grammars import test_fhir_read, test_limits
from tests.meanings import adt, test_edsevent, test_legacy, test_sbdh, test_vans
from tests.meanings.acknowledgements import acknowledgement as answered
from tests.meanings.inbox_records import INBOX, reception_after
from tests.meanings.notifications import bundle, notification, story
from tests.rules.histories import DELIVERY, EVENTS, HAPPENINGS, LANE_RECORDS, RARER, begun, happened
from tests.rules.lanes import Otherwise, registers
from tests.rules.persons import Intake
from tests.rules.persons_histories import REPORTS, WAITS, reported
from tests.rules.stay_events import Story
from tests.rules.test_registry_columns import NOW, nine_municipalities

RECORDED: Final = Path(__file__).with_name("answers")

#: A case and the answer to it.
Cases = Iterable[tuple[str, str]]


def _findings(found: Iterable[Any]) -> str:
    """Severity, path, rule, problem and remedy of each."""
    rows = (one if isinstance(one, dict) else msgspec.structs.asdict(one) for one in found)
    return "; ".join(" | ".join(row.values()) for row in rows) or "right"


def _refusable(read: Callable[[], str]) -> str:
    try:
        return read()
    except Rejected as rejected:
        return "refused: " + _findings([rejected.issue()])


def _differing(found: dict[str, Any], usual: dict[str, Any]) -> str:
    """What is read otherwise than from the document without damage."""
    other = {key: value for key, value in found.items() if value != usual.get(key)}
    return f" {orjson.dumps(other).decode()}" if other else ""


def _inspected(inspect: Callable[[bytes], dict[str, Any]], usual: bytes, cases: Iterable[tuple[str, bytes]]) -> Cases:
    whole = inspect(usual)["reading"]
    for name, data in cases:
        found = inspect(data)
        reading = _differing(found["reading"], whole) if found["reading"] else " nothing is read"
        yield name, f"{found['kind']}: {_findings(found['issues'])}{reading}"


def letters() -> Cases:
    for letter in (test_legacy.NOTICE, test_legacy.DISCHARGE, test_legacy.RECEIPT):
        yield from _inspected(legacy_reading, letter, edifact(letter))


def xml_letters() -> Cases:
    for letter in (test_legacy.ADMISSION, test_legacy.REFUSAL):
        yield from _inspected(legacy_reading, letter, xml(letter))


def _inside(data: bytes) -> dict[str, Any]:
    return {"length": len(data)}


def vans_envelopes() -> Cases:
    for data in (test_vans.sealed(), test_vans.receipt("negative-message", error="no such unit", error_code=2)):
        for name, damaged in xml(data):
            seen = vans.inspect(damaged, _inside)
            yield name, _refusable(lambda damaged=damaged: _opened(vans.open_envelope(damaged)))
            yield name, f"inspected: {_findings(seen['issues'])}"


def ehmi_envelopes() -> Cases:
    for data in (test_sbdh.envelope(), test_sbdh.receipt()):
        for name, damaged in xml(data):
            seen = sbdh.inspect(damaged, _inside)
            yield name, _refusable(lambda damaged=damaged: _opened(sbdh.open_envelope(damaged)))
            yield name, f"inspected: {_findings(seen['issues'])}"


def ehmi_words() -> Cases:
    """Each choice of words of an EHMI envelope."""
    for words in itertools.product(*EHMI_WORDS.values()):
        data = test_sbdh.envelope(**dict(zip(EHMI_WORDS, words, strict=True)))
        yield " ".join(words), _refusable(lambda data=data: _opened(sbdh.open_envelope(data)))
        yield f"{' '.join(words)} inspected", _findings(sbdh.inspect(data, _inside)["issues"])


def texts() -> Cases:
    """Each of the words in every leaf of envelopes of both kinds and of letters in XML."""
    readers: list[tuple[str, Callable[[bytes], Any], tuple[bytes, ...]]] = [
        ("vans", lambda data: vans.inspect(data, _inside), (test_vans.sealed(), test_vans.receipt("negative-message"))),
        ("ehmi", lambda data: sbdh.inspect(data, _inside), (test_sbdh.envelope(), test_sbdh.receipt())),
        ("letter", legacy_reading, (test_legacy.ADMISSION, test_legacy.REFUSAL)),
    ]
    for kind, inspect, documents_ in readers:
        for number, document in enumerate(documents_):
            for name, damaged in xml_texts(document, WORDS):
                found = [orjson.dumps(inspect(data)) for data in damaged]
                wrong = sum(b'"valid":false' in one for one in found)
                yield f"{kind} {number} {name}", f"{wrong} wrong {sha256(b''.join(found)).hexdigest()[:10]}"


def _opened(opened: Any) -> str:
    """Ids, parties and kind; the findings that do not refuse it."""
    values = [getattr(opened, name, "") for name in ("content_kind", "envelope_id", "sender", "receiver", "payload")]
    return f"{values} {_findings(getattr(opened, 'warnings', ()))} {opened.network_receipt()}"


def notifications() -> Cases:
    for notice in (Notice.SLOR, Notice.STIN):
        whole = bundle(notification(notice))
        for name, damaged in json_places(whole):
            if name.startswith(("entry[0]", "entry[1]", "entry[2]", "entry[3]", "id", "time", "type", "meta")):
                yield f"{notice} {name}", _findings(hospitalnotification.check(damaged))


def fhir_xml() -> Cases:
    whole = to_xml(bundle(notification(Notice.SLOR)))
    usual = read_xml(whole).resource
    for name, damaged in xml(_with_one_of_each(whole)):
        yield name, _refusable(lambda damaged=damaged: _read(read_xml(damaged), usual))


def _with_one_of_each(whole: bytes) -> bytes:
    """Header, stay, person and one unit: the others are read by the same rules."""
    head, *entries = whole.partition(b"</Bundle>")[0].split(b"<entry>")
    return b"<entry>".join((head, *entries[:4])) + b"</Bundle>"


def _read(found: Any, usual: dict[str, Any]) -> str:
    content = orjson.dumps([_differing(found.resource, usual), found.resource])
    return f"{_findings(found.issues)} {sha256(content).hexdigest()[:8]}"


def documents() -> Cases:
    """What is no message at all, or more than one: the tables of the readers' own tests, with remedy and rule."""
    for name, (data, *_) in test_fhir_read.JSON.items():
        yield f"JSON: {name}", _refusable(lambda data=data: str(from_json(data)))
    for name, (data, *_) in test_fhir_read.XMLS.items():
        yield f"XML: {name}", _refusable(lambda data=data: str(from_xml(data)))
    for name, (inner, *_) in test_fhir_read.DISORDERED.items():
        yield f"XML: {name}", _findings(read_xml(test_fhir_read.wrapped(inner)).issues)
    letter = test_legacy.NOTICE[9:] if test_legacy.NOTICE.startswith(b"UNA") else test_legacy.NOTICE
    for marks in (":+.? '", ":+:+ '", ":+.+ '", "::.? '", ":+.?' ", ":+,? '", ":+.?*'", ":+.?", ":", "", "++++++"):
        for name, rest in (("", b""), (" and a letter", letter)):
            found = legacy_reading(b"UNA" + marks.encode() + rest)
            yield f"UNA{marks}{name}", f"{found['kind']}: {_findings(found['issues'])}"
    for name, (read, document, bound, _) in test_limits.BOUNDS.items():
        data = document(bound + 1)
        yield f"too large: {name}", _refusable(lambda read=read, data=data: str(read(data)))


def events() -> Cases:
    for whole in (test_edsevent.PDS, test_edsevent.BDS):
        for name, damaged in json_places(whole):
            found = edsevent.inspect(to_json(damaged))
            yield name, f"{_findings(found['issues'])} {sha256(orjson.dumps(found['reading'])).hexdigest()[:8]}"


def acknowledgements() -> Cases:
    whole = answered("fatal-error", ReceiptIssue(severity="error", code="invalid", text="wrong"))
    for name, damaged in json_places(whole):
        judged = acknowledgement.inspect(to_json(damaged))
        yield name, f"{_findings(judged['issues'])} {orjson.dumps(judged['reading']).decode()}"


def adt_messages() -> Cases:
    whole = adt.er7("A01", pv1={36: "01", 44: "20260301080700+0100"}, more=("ZZZ|1",))
    yield from _inspected(adt_reading, whole, er7(whole))


def chains() -> Cases:
    """Any two notices after a start, possible or not: which they are read as, and what is wrong with them."""
    for start, one, other in itertools.product((Notice.STAA, Notice.STIN), Notice, Notice):
        answers = [_chain(start, one, other), *(_chain(start, one, other, third) for third in _AT_THE_END)]
        yield f"{start} {one} {other}", f"{answers[0]} {sha256(''.join(answers).encode()).hexdigest()[:8]}"


_AT_THE_END: Final = (Notice.MORS, Notice.RE_MORS, Notice.AN_MORS, Notice.SLHJ, Notice.AN_SLHJ)


def _chain(*notices: Notice) -> str:
    *_, last = story(*notices, class_="EMER" if notices[0] is Notice.STAA else "IMP")
    written = bundle(last)
    read = hospitalnotification.read(written)
    return f"{read.notice} after {read.predecessor == last.chain[-1].previous}: {_findings(hospitalnotification.check(written))}"


def with_more() -> Cases:
    """Documents of every type with one element more, as others send them, as we would, and in XML."""
    for name, more in with_one_more(bundle(notification(Notice.SLOR))):
        yield f"notification {name}", _findings(hospitalnotification.check(more))
        yield f"ours {name}", _findings(hospitalnotification.check(more, outgoing=True))
        yield f"in XML {name}", _refusable(lambda more=more: _same_in_xml(more))
    for name, more in with_one_more(answered("fatal-error", ReceiptIssue(severity="error", code="invalid", text="x"))):
        judged = acknowledgement.inspect(to_json(more))
        yield f"acknowledgement {name}", f"{_findings(judged['issues'])} {orjson.dumps(judged['reading']).decode()}"
    for name, more in with_one_more(test_edsevent.PDS):
        found = edsevent.inspect(to_json(more))
        yield f"event {name}", f"{_findings(found['issues'])} {sha256(orjson.dumps(found['reading'])).hexdigest()[:8]}"


def entries() -> Cases:
    """Bundles of either type: each entry dropped, first, twice, and once more under an id of its own; others put in."""
    written = bundle(notification(Notice.SLOR))
    found = answered("fatal-error", ReceiptIssue(severity="error", code="invalid", text="x"))
    for name, damaged in other_entries(written, found["entry"]):
        yield f"notification {name}", _findings(hospitalnotification.check(damaged))
        yield f"ours {name}", _findings(hospitalnotification.check(damaged, outgoing=True))
    for name, damaged in other_entries(found, written["entry"]):
        judged = acknowledgement.inspect(to_json(damaged))
        yield f"acknowledgement {name}", f"{_findings(judged['issues'])} {orjson.dumps(judged['reading']).decode()}"


def fhir_values() -> Cases:
    """Each text as a value of each primitive type, in JSON and in XML."""
    for kind, text in itertools.product(sorted(PRIMITIVES - {"xhtml"}), TEXTS):
        name = f"value{kind[0].upper()}{kind[1:]}"
        value = escape(text, {'"': "&quot;", "\n": "&#10;"}).encode()
        extension = b'<extension url="http://x.org/e"><%b value="%b"/></extension>' % (name.encode(), value)
        in_xml = _refusable(lambda extension=extension: _value(read_xml(PATIENT_XML % extension)))
        shown = text if len(text) < 30 else f"{text[:24]}… of {len(text)}"
        yield f"{kind} {shown!r}", f"{'right' if TESTS[kind](text) else 'wrong'} in JSON; in XML {in_xml}"


PATIENT_XML: Final = b'<Patient xmlns="http://hl7.org/fhir">%b</Patient>'


def _value(read: Any) -> str:
    """What stands there, of its class alone where it is the text that was sent."""
    [extension] = read.resource["extension"]
    value = next((value for key, value in extension.items() if key.startswith("value")), None)
    return f"{value.__class__.__name__ if isinstance(value, str) else repr(value)}: {_findings(read.issues)}"


def _same_in_xml(resource: Any) -> str:
    found = read_xml(to_xml(resource))
    return f"{_findings(found.issues)}, {'the same' if found.resource == resource else 'another one'}"


#: File of a set of registers -> its damage, and how many rows or lines of it.
REGISTERS: Final[dict[str, tuple[Callable[[str, int], Iterable[tuple[str, str]]], int]]] = {
    "policy.toml": (toml_lines, 40),
    "subscriptions.toml": (toml_lines, 24),
    "feeds/epj-syd-ouh.toml": (toml_lines, 9),
    "locations.csv": (csv_cells, 2),
    "municipalities.csv": (csv_cells, 1),
    "systems.csv": (csv_cells, 2),
}


def register_sets() -> Cases:
    with TemporaryDirectory() as place:
        folder = nine_municipalities(Path(place) / "set")
        for file, (damage, most) in REGISTERS.items():
            usual = (folder / file).read_text(encoding="utf-8")
            for name, damaged in damage(usual, most):
                (folder / file).write_text(damaged, encoding="utf-8")
                found = inspect_registers(folder, now=NOW)
                yield f"{file}:{name}", "; ".join(str(one).replace(place, "") for one in found) or "right"
            (folder / file).write_text(usual, encoding="utf-8")


#: Trigger -> what comes before it in a story, and fields of its own.
TRIGGERS: Final[dict[str, tuple[tuple[str, ...], dict[str, Any]]]] = {
    "A01": ((), {}),
    "A02": (("A01",), {"pv1": {3: "KIR^^^SHS", 6: "C4^^^OUH"}}),
    "A03": (("A01",), {"pv1": {36: "01", 45: "20260301100700+0100"}}),
    "A04": ((), {"pv1": {2: "E"}}),
    "A06": (("A04",), {}),
    "A08": (("A01", "A03"), {"pv1": {36: "01", 44: "20260301080700+0100", 45: "20260301103000+0100"}}),
    "A07": (("A01",), {"pv1": {2: "E"}}),
    "A11": (("A01",), {}),
    "A12": (("A01", "A02"), {"pv1": {3: "C4^^^OUH", 6: "KIR^^^SHS"}}),
    "A13": (("A01", "A03"), {}),
    "A21": (("A01",), {}),
    "A22": (("A01", "A21"), {}),
    "A23": (("A01", "A21"), {}),
    "A52": (("A01", "A21"), {}),
    "A53": (("A01", "A21", "A22"), {}),
    "A31": (("A01",), {"pid": {30: "Y", 29: "20260301090000+0100"}}),
    "A40": (("A01",), {"pid": {3: "0201609995^^^CPR^CPR"}, "more": ("MRG|" + adt.CPR,)}),
    "A45": (("A01",), {"pid": {3: "0201609995^^^CPR^CPR"}, "more": ("MRG|" + adt.CPR + "||||" + adt.VISIT,)}),
}


#: A feed that says everything in its own way.
DIALECT: Final = FeedProfile(
    application="EPJ-SYD",
    facility="OUH",
    evn2_is_event_time=True,
    a08_class_is_correction=True,
    a08_ward_is_correction=True,
    allow_person_change=False,
    zbe=True,
    lpr3="PV1-50.1",
    classes={"I": "EMER", "X": "IMP"},
    dispositions={"01": "hospice"},
    discharged_to={"OUH": "home"},
    municipalities={"0751": "0461"},
)
#: Segments that few triggers need and any message may have.
OTHERS: Final = ("PD1||||||||||||Y", "ZBE|1|20260301081000+0100||UPDATE", "MRG|0201609995^^^CPR^CPR||||" + adt.VISIT)


def adt_events() -> Cases:
    """What a message of each trigger reports of stay and person, damaged in every place, by a plain feed and by another."""
    for trigger, (_, parts) in TRIGGERS.items():
        full = {3: "C4^^^OUH", 6: "KIR^^^SHS", 36: "01", 37: "OUH", 44: "20260301080700+0100", 50: "X1"}
        whole = _message(0, trigger, {**parts, "pv1": full | parts.get("pv1", {}), "more": OTHERS})
        for place, cases in itertools.groupby([("as it is", whole), *er7(whole)], lambda case: case[0].split(" .")[0]):
            damaged = [data for _, data in cases]
            for name, feed in (("", adt.FEED), ("another feed, ", DIALECT)):
                found = [_refusable(lambda data=data, feed=feed: _reported(data, feed)) for data in damaged]
                yield f"{name}{trigger} {place}", f"{len(found)} {sha256(''.join(found).encode()).hexdigest()[:10]}"


def _reported(data: bytes, feed: FeedProfile) -> str:
    document = parse(data)
    reports = read_events(document, feed, adt.locate, adt.KOMMUNER)
    return msgspec.json.encode([reports, [_findings(document.warnings)]]).decode()


def adt_stories() -> Cases:
    for trigger, (before, parts) in TRIGGERS.items():
        story = [_message(number, name, TRIGGERS[name][1]) for number, name in enumerate(before)]
        whole = _message(9, trigger, parts)
        for place, cases in itertools.groupby([("as it is", whole), *er7(whole)], lambda case: case[0].split(" .")[0]):
            found = [list(_replayed(*story, damaged)) for _, damaged in cases]
            notices = dict.fromkeys(line.partition(" ")[0] for lines in found for line in lines)
            yield f"{trigger} {place}", f"{', '.join(notices)}: {sha256(repr(found).encode()).hexdigest()[:10]}"


def _replayed(*files: bytes) -> Iterator[str]:
    """The lines of the last of these messages."""
    replay = Replay(registers())
    *_, lines = (replay.play(data) for data in files)
    yield from map(_line, lines)


def _message(number: int, trigger: str, parts: dict[str, Any]) -> bytes:
    time = f"20260301{8 + number:02}0700+0100"
    own = {"msh": {7: time}, "evn": {2: time, 6: time}, "control": f"K{number}"}
    return adt.er7(trigger, **{"pv1": {44: time}, **own, **parts})


def _line(line: Any) -> str:
    bytes_ = sha256(line.payload or b"").hexdigest()[:8] if line.payload else ""
    return f"{line.notification} {line.municipality or ''} {line.rule} {line.why} {bytes_}"


def short_stories() -> Cases:
    """Every story of two events, and what any third one would do."""
    for one, other in itertools.product(EVENTS, repeat=2):
        story = _after(_after(None, one, 8), other, 9)
        thirds = sha256("".join(_notified(_after(story, third, 10)) for third in EVENTS).encode()).hexdigest()[:12]
        yield f"{one}, {other}", f"{_notified(story)}; {thirds}"


def rarer_stories() -> Cases:
    """Every event before one of a rarer kind, what any further one would do, and what the timer would."""
    for one, other in itertools.product((*EVENTS, *RARER), RARER):
        story = _after(_after(None, one, 8), other, 9)
        further = [_notified(_after(story, third, 10)) for third in (*EVENTS[:14], *RARER)]
        woken = [_notified(_woken(story, time)) for time in ("09:30", "12:00", "2/08:01", "3/12:00")]
        thirds = sha256("".join(further + woken).encode()).hexdigest()[:12]
        yield f"{one}, {other}", f"{_notified(story)}; {thirds}"


def _woken(story: Story, time: str) -> Story:
    if story.visit is None:
        return story
    mine = _copy(story)
    mine.wake(time)
    return mine


def _copy(story: Story) -> Story:
    return replace(story, notes=[*story.notes], outcomes=[*story.outcomes], folds=[*story.folds])


def _after(story: Story | None, line: str, hour: int) -> Story:
    """The story and one event more."""
    trigger, *more = line.split(" ", 1)
    mine = _copy(story) if story else Story()
    return mine.play(" ".join((trigger, f"{hour:02}:00", *more)))


def _notified(story: Story) -> str:
    content = b"".join(note.to.encode() + to_json(bundle(note)) for note in story.notes)
    content += msgspec.json.encode([story.outcomes[-1], *story.folds[-1].released])
    return f"{' '.join(story.notices) or 'silent'} ({story.outcome}) {sha256(content).hexdigest()[:8]}"


#: How a municipality is served -> what the lane's context has of it.
SERVED: Final[dict[str, dict[str, Any]]] = {
    "": {},
    "by hand: ": {"registers_": Otherwise(mode="manual", max_resends=1)},
    "one pause: ": {"registers_": Otherwise(retry_pauses=(timedelta(seconds=7),), max_resends=0), "sample": 1},
}


def lane_histories() -> Cases:
    """Two happenings after an admission, and what any third one to the delivery would do."""
    for served, more in SERVED.items():
        beginning = begun(**more)
        for one in HAPPENINGS:
            first, answer = happened(beginning, one)
            yield f"{served}{one}", answer
            for other in HAPPENINGS if first.row != beginning.row else ():
                second, answer = happened(first, other)
                further = () if served or second.row == first.row else DELIVERY
                thirds = sha256("".join(happened(second, third)[1] for third in further).encode()).hexdigest()[:8]
                yield f"{served}{one} > {other}", f"{answer} {thirds if further else ''}".rstrip()


def person_histories() -> Cases:
    """Two messages about a person, and what any third one would do; one more at each limit of what is remembered."""
    for one in REPORTS:
        first, answer = reported(Intake(), one)
        yield one, answer
        for other in REPORTS:
            second, answer = reported(first, other)
            thirds = sha256("".join(reported(second, third)[1] for third in REPORTS).encode()).hexdigest()[:8]
            yield f"{one} > {other}", f"{answer} {thirds}"
        for name, wait in WAITS.items():
            yield f"{one} > {name} later", reported(first, "leave", after=wait)[1]
            yield f"{one} > {name} later under its id", reported(first, "end", after=wait, control_id="K1")[1]


def lane_records() -> Cases:
    """Every kind of record of a lane, damaged; its times at both ends of the years that there are."""
    for kind, record in LANE_RECORDS.items():
        for name, damaged in json_places(orjson.loads(encode_lane_record(record)), _other_times):
            yield f"{kind} {name}", _refusable(lambda damaged=damaged: _taken(damaged))


def _other_times(text: str) -> dict[str, str]:
    """A time of the first and last years, of those beyond, and without its zone."""
    if not re.fullmatch(r"20\d\d-\d\d-\d\dT.*", text):
        return {}
    return {f"in {year}": f"{year}-07-01T12:00:00+01:00" for year in (1899, 1900, 2199, 2200)} | {"local": text[:19]}


def _taken(damaged: Any) -> str:
    """The record into the lane that a record becomes."""
    record = lane_letter(Lane("0" * 8), decode_lane_record(to_json(damaged)), "m")
    return f"taken: {sha256(repr(tuple(record)).encode()).hexdigest()[:8]}"


def inbox_histories() -> Cases:
    """Two records of an inbox; each alone where no citizen has a case, and where others are addressed."""
    for one in INBOX:
        first, answer = reception_after(Reception(), one)
        yield one, answer
        yield f"{one}, no case", reception_after(Reception(), one, basis=False)[1]
        yield f"{one}, ours", reception_after(Reception(), one, ours={"5790001348120"})[1]
        for other in INBOX:
            yield f"{one} > {other}", reception_after(first, other)[1]


GROUPS: Final[dict[str, Callable[[], Cases]]] = {
    "acknowledgements": acknowledgements,
    "adt-events": adt_events,
    "adt-messages": adt_messages,
    "adt-stories": adt_stories,
    "chains": chains,
    "documents": documents,
    "ehmi-envelopes": ehmi_envelopes,
    "ehmi-words": ehmi_words,
    "entries": entries,
    "events": events,
    "fhir-values": fhir_values,
    "fhir-xml": fhir_xml,
    "letters": letters,
    "person-histories": person_histories,
    "rarer-stories": rarer_stories,
    "registers": register_sets,
    "inbox-histories": inbox_histories,
    "lane-histories": lane_histories,
    "lane-records": lane_records,
    "letters-in-xml": xml_letters,
    "notifications": notifications,
    "short-stories": short_stories,
    "one-element-more": with_more,
    "texts": texts,
    "vans-envelopes": vans_envelopes,
}


def written(cases: Cases) -> str:
    """The answers in the order in which they first appear, each with its cases."""
    answers: dict[str, list[str]] = {}
    for name, answer in cases:
        answers.setdefault(_shortened(answer), []).append(name)
    return "".join(f"{answer}\n{''.join(_lines(names))}" for answer, names in answers.items())


def _shortened(answer: str) -> str:
    """The beginning of a long answer, and a hash of all of it."""
    return answer if len(answer) <= 180 else f"{answer[:160]} … {sha256(answer.encode()).hexdigest()[:10]}"


def _lines(names: list[str]) -> Iterator[str]:
    """The cases, as many to a line as it takes."""
    for line in textwrap.wrap(", ".join(dict.fromkeys(names)), 118, break_long_words=False, break_on_hyphens=False):
        yield f"    {line}\n"


@pytest.mark.parametrize("group", GROUPS)
def test_damage_is_answered_as_recorded(group: str, request: pytest.FixtureRequest) -> None:
    found, path = written(GROUPS[group]()), RECORDED / f"{group}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")
