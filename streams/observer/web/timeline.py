"""The timeline of one shipment in sentences, from its steps: what happened, when, by whom, with which attempt. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from streams.observer.model.answers import ShipmentDetail
from streams.observer.model.fold import Steps
from streams.observer.model.steps import StatusEvent
from streams.records.ledger import LedgerRow

from .words import Text


class Moment(NamedTuple):
    """One line of a timeline."""

    at: datetime
    sentence: str
    station: str
    tone: str  # as in `StatusWord`
    attempt: int
    detail: str
    step: str  # the same in every language


class _Line(NamedTuple):
    danish: str
    english: str
    tone: str


#: State that a message enters (02 §5.2) -> its sentence.
_STATES: Final = {
    "CREATED": _Line("Kontrolleret og dannet", "Checked and created", "wait"),
    "SENT": _Line("Afsendt", "Sent", "wait"),
    "NETWORK_OK": _Line("Nettet har modtaget kuverten", "The network has taken the envelope", "wait"),
    "TRANSIENT": _Line("Midlertidig fejl hos modtager; tidsfristen afgør", "Temporary fault at recipient; the deadline decides", "warn"),
    "TIMED_OUT": _Line("Kvittering mangler", "Receipt missing", "warn"),
    "ACKED_OK": _Line("Kvitteret OK", "Receipt OK", "ok"),
    "ACKED_FATAL": _Line("Afvist af modtager; en sag er åbnet", "Rejected by recipient; a case is opened", "bad"),
    "UNDELIVERABLE": _Line("Kunne ikke afleveres; en sag er åbnet", "Could not be delivered; a case is opened", "bad"),
    "GIVEN_UP": _Line("Opgivet efter to genafsendelser; en sag er åbnet", "Given up after two resends; a case is opened", "bad"),
    "SENT_UNCONFIRMED": _Line("Afsendt; modtager kvitterer ikke", "Sent; the recipient gives no receipts", "quiet"),
}  # fmt: skip

#: Class of a receipt that changes no state (law L4) -> its sentence.
_RECEIPTS: Final = {
    "repeated": _Line("Gentaget kvittering – ignoreret", "Repeated receipt – ignored", "quiet"),
    "conflicting": _Line("Modstridende kvittering – ignoreret", "Conflicting receipt – ignored", "warn"),
    "stale": _Line("Kvittering for en tidligere udgave – ignoreret", "Receipt for an earlier copy – ignored", "quiet"),
}


def moments(found: ShipmentDetail, text: Text) -> list[Moment]:
    """Every line, oldest first."""
    of = Steps(found.steps)
    lines = [*_arrival(of, text), *_changes(of, text), *_ignored(of, text), *_decisions(of, text)]
    return sorted(lines, key=lambda line: line.at)


def _arrival(of: Steps, text: Text) -> Iterator[Moment]:
    for event in of.hospital[:1]:
        if event.occurred is not None:
            yield Moment(
                event.occurred,
                _in(text, "Hændelsen skete", "The event happened"),
                "sygehus",
                "quiet",
                0,
                "",
                "happened",
            )
        if event.registered is not None:
            words = _in(text, "Registreret på sygehuset", "Registered at the hospital")
            trigger = f"ADT {event.trigger}" if event.trigger else ""
            yield Moment(event.registered, words, "sygehus", "quiet", 0, trigger, "registered")
        words = _in(text, "Modtaget fra sygehus", "Received from hospital")
        yield Moment(event.received, words, "stafet", "wait", 0, event.control_id, "received")


def _changes(of: Steps, text: Text) -> Iterator[Moment]:
    envelopes = [event for event in of.traced if event.subtype == "msg-sent"]
    sent = 0
    for row in of.changes:
        if row.delta < 0 or row.what not in _STATES:
            continue
        line, detail = _STATES[row.what], ""
        words = _in(text, line.danish, line.english)
        if row.what in ("SENT", "SENT_UNCONFIRMED"):
            detail = _envelope(envelopes, sent, text)
            sent += 1
            if row.attempt > 1:
                words = _in(text, f"Genafsendt ({row.attempt - 1} af 2)", f"Resent ({row.attempt - 1} of 2)")
        if row.late:
            words += _in(text, " – for sent", " – after the deadline")
        yield Moment(row.at, words, _station(row), line.tone, row.attempt, detail, row.what.lower())


def _envelope(envelopes: list[StatusEvent], number: int, text: Text) -> str:
    if number >= len(envelopes):
        return ""
    name = envelopes[number].transport_id or envelopes[number].bundle_id
    return _in(text, f"kuvert …{name[-4:]}", f"envelope …{name[-4:]}") if name else ""


def _station(row: LedgerRow) -> str:
    return "modtager" if row.what in ("ACKED_OK", "ACKED_FATAL", "TRANSIENT") else "stafet"


def _ignored(of: Steps, text: Text) -> Iterator[Moment]:
    for row in of.receipts:
        if (line := _RECEIPTS.get(row.what)) is not None:
            words = _in(text, line.danish, line.english)
            yield Moment(row.at, words, "modtager", line.tone, 0, row.verdict, f"receipt-{row.what}")


def _decisions(of: Steps, text: Text) -> Iterator[Moment]:
    for row in of.decisions:
        words = _in(text, "Beslutning taget", "Decision taken")
        yield Moment(row.at, words, "operatør", "quiet", 0, row.reason, "decision")


def _in(text: Text, danish: str, english: str) -> str:
    return english if text.language == "en" else danish
