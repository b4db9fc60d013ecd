"""The reference subscriber: what a municipality makes of the notifications it receives (spec 01 §19).

A subscriber keeps, per citizen and episode of care, every notification it has loaded, in the order in which they
were *meant*, which need not be the order in which they arrived. The last one in that order shows where the citizen is;
all of them together are the history that a user sees. So a message that was overtaken on the way slips into its
place and changes nothing else (19.7, 19.8), and repeating one changes nothing at all (19.6).

A verdict depends on the content alone. A repeated message therefore gets the answer it got the first time, and a
message id that comes again with another citizen, sender or episode is another message (19.17): losing a notification
is worse than showing one twice.

The check decides what is *wrong* with a message; a subscriber refuses errors and keeps warnings (1.9, 4.1). What is kept
has no error.

Not here: reading documents and finding profile violations (messages/hospitalnotification), and writing the
acknowledgement (messages/acknowledgement).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from streams.formats.fhir.read import document
from streams.messages.hospitalnotification import HospitalNotification, check, read
from streams.words.codes import LPR3_SYSTEM, Family, Notice, Verdict
from streams.words.errors import Issue, Rejected
from streams.words.ids import same_episode
from streams.words.model import Unit, Value

#: Where the citizen is. `void`: the stay was cancelled from its start, the citizen is active again (19.10).
Status = Literal["admitted", "acute-ambulant", "on-leave", "at-home", "dead", "void"]
Mark = Literal["", "corrected", "cancelled"]

#: What each notice means for the citizen (§10). The notice rules, not Encounter.status: a discharge is a discharge
#: whatever status it carries, and a death on arrival may be `in-progress` (10.3; §23, 8).
_STATUS: Final[dict[Notice, Status]] = {
    Notice.STAA: "acute-ambulant",
    Notice.RE_STAA: "acute-ambulant",
    Notice.AN_STAA: "void",
    Notice.STIN: "admitted",
    Notice.RE_STIN: "admitted",
    Notice.AN_STIN: "void",
    Notice.STOR: "on-leave",
    Notice.RE_STOR: "on-leave",
    Notice.AN_STOR: "admitted",
    Notice.SLOR: "admitted",
    Notice.RE_SLOR: "admitted",
    Notice.AN_SLOR: "on-leave",
    Notice.SLHJ: "at-home",
    Notice.RE_SLHJ: "at-home",
    Notice.MORS: "dead",
    Notice.RE_MORS: "dead",
}

#: AN_SLHJ and AN_MORS show the stay as it is again, and only the Encounter shows how (10.2).
_STATUS_OF_ENCOUNTER: Final[dict[tuple[str, str], Status]] = {
    ("in-progress", "IMP"): "admitted",
    ("in-progress", "EMER"): "acute-ambulant",
    ("onleave", "IMP"): "on-leave",
    ("onleave", "EMER"): "on-leave",
    ("finished", "IMP"): "at-home",
    ("finished", "EMER"): "at-home",
    ("entered-in-error", "IMP"): "void",
    ("entered-in-error", "EMER"): "void",
}

_OPEN: Final = frozenset({"admitted", "acute-ambulant", "on-leave"})


class StayView(Value, frozen=True, kw_only=True):
    """One stay of one citizen as a subscriber knows it: its notifications, in the order they were meant."""

    messages: tuple[HospitalNotification, ...]
    closed: datetime | None = None  # by hand, because no SLHJ will ever come (19.15)

    def __repr__(self) -> str:
        return f"StayView({len(self.messages)} messages)"


class HistoryEntry(Value, frozen=True, kw_only=True):
    """One line of the history that a user sees: a notice, whether it was corrected or cancelled, its time and place."""

    family: Family
    mark: Mark = ""
    at: datetime
    place: str
    message_ids: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.family}({self.mark})" if self.mark else str(self.family)


class ReportRequest(Value, frozen=True, kw_only=True):
    """A report of admission to send: to whom, and under which id, written without hyphens (16.5, 14.6, 14.7)."""

    to_gln: str
    episode: str


class SubscriberAnswer(Value, frozen=True, kw_only=True):
    """What a subscriber does about one notification. `status` is None where no stay is known."""

    acknowledgement: Verdict
    shown: bool
    status: Status | None = None
    report: ReportRequest | None = None
    history: tuple[HistoryEntry, ...] = ()
    issues: tuple[Issue, ...] = ()


class Subscriber(Value, frozen=True, kw_only=True):
    """All stays that a subscriber knows, in the order of their first notification."""

    stays: tuple[StayView, ...] = ()


def play(files: Iterable[tuple[str, bytes]], *, basis: bool = True) -> list[dict[str, Any]]:
    """One line per document, in order, from one fresh subscriber; the keys are those of acceptance.md, `receive`.

    Without `basis` no citizen has a case: nothing is kept, and what is valid is acknowledged all the same (19.4).
    """
    state = Subscriber()
    lines: list[dict[str, Any]] = []
    for name, data in files:
        state, answered = answer(state, data, basis=basis)
        lines.append(
            {
                "file": name,
                "acknowledgement": answered.acknowledgement,
                "shown": answered.shown,
                "status": answered.status,
                "report_of_admission": answered.report is not None,
                "history": [str(entry) for entry in answered.history],
                "issues": [msgspec.structs.asdict(issue) for issue in answered.issues],
            }
        )
    return lines


def answer(state: Subscriber, data: bytes, *, basis: bool = True) -> tuple[Subscriber, SubscriberAnswer]:
    """The subscriber after a document in JSON or XML, and its answer. Never raises on content."""
    try:
        sent = document(data)
    except Rejected as rejected:
        return state, refuse([rejected.issue()])
    bundle, found = sent.resource, sent.beside(check(sent.resource))
    if any(issue.severity == "error" for issue in found):
        return state, refuse(found)
    if basis:
        state, answered = receive(state, read(bundle))
    else:
        answered = discard()
    # What the check remarked, before what the subscriber remarks.
    return state, msgspec.structs.replace(answered, issues=(*found, *answered.issues))


def refuse(issues: Iterable[Issue]) -> SubscriberAnswer:
    """A profile violation: negative receipt, nothing shown, nothing kept (19.5)."""
    return SubscriberAnswer(acknowledgement="fatal-error", shown=False, issues=tuple(issues))


def discard() -> SubscriberAnswer:
    """The citizen has no case here: nothing kept, and a positive receipt all the same (19.3, 19.4)."""
    return SubscriberAnswer(acknowledgement="ok", shown=False)


def receive(subscriber: Subscriber, message: HospitalNotification) -> tuple[Subscriber, SubscriberAnswer]:
    """The subscriber after a notification that passed validation, and its answer: always positive (19.3).

    Warnings: a repeat (19.6), an id seen in another message (19.17), a predecessor never received (19.16).
    """
    stays = (s for s in reversed(subscriber.stays) if any(_same_stay(message, m) for m in s.messages))
    known = next(stays, None)
    namesakes = [m for stay in subscriber.stays for m in stay.messages if m.message_id == message.message_id]
    # A resend keeps citizen, sender and episode (19.17).
    if known is not None and any(m.sender.sor == message.sender.sor and _same_stay(message, m) for m in namesakes):
        return subscriber, SubscriberAnswer(
            acknowledgement="ok", shown=False, status=status(known), history=history(known), issues=(_REPEATED,)
        )
    if known is None:
        stay = StayView(messages=(message,))
    else:  # in its place: before the first one that is newer, else at the end (19.8)
        older = (i for i, m in enumerate(known.messages) if _older(message, m, collides=bool(namesakes)))
        place = next(older, len(known.messages))
        messages = (*known.messages[:place], message, *known.messages[place:])
        stay = StayView(messages=messages, closed=known.closed if messages[-1] is not message else None)
    report = None
    if message.report_of_admission:  # to the recipient named, else the sender (16.4, 16.5)
        local = next((e for e in message.episode if e.system != LPR3_SYSTEM), message.episode[0])
        recipient = message.report_recipient
        report = ReportRequest(
            to_gln=(recipient and recipient.gln) or message.sender.gln,
            episode=local.value.lower().removeprefix("urn:uuid:").replace("-", ""),
        )
    received = () if known is None else (m.message_id for m in known.messages)
    answer = SubscriberAnswer(
        acknowledgement="ok",
        shown=True,
        status=status(stay),
        report=report,
        history=history(stay),
        issues=(
            *((_ID_TAKEN,) if namesakes else ()),
            *((_UNKNOWN_PREDECESSOR,) if message.predecessor and message.predecessor not in received else ()),
        ),
    )
    kept = tuple(stay if s is known else s for s in subscriber.stays)
    return Subscriber(stays=(*kept, stay) if known is None else kept), answer


def status(stay: StayView) -> Status:
    """Where the citizen of the stay is, by the message that is last in the order that was meant."""
    last = stay.messages[-1]
    if stay.closed is not None:
        return "at-home"
    return _STATUS.get(last.notice) or _STATUS_OF_ENCOUNTER[last.status, last.class_]


def history(stay: StayView) -> tuple[HistoryEntry, ...]:
    """The stay as a user sees it: a correction or cancellation marks what it is about (19.10, 19.11).

    What is cancelled stays so, with the time and place it was cancelled with.
    """
    entries: list[HistoryEntry] = []
    for message in stay.messages:
        place = _meant(entries, message)
        before = None if place is None else entries[place]
        family = message.notice.family
        cancelled = message.notice.is_cancellation or (before is not None and before.mark == "cancelled")
        corrected = message.notice.is_correction or before is not None
        entry = HistoryEntry(
            family=family,
            mark="cancelled" if cancelled else "corrected" if corrected else "",
            at=message.shown_at or (before.at if before else _times(message)[1]),
            place=message.provider.name or message.provider.sor,
            message_ids=(*(before.message_ids if before else ()), message.message_id),
        )
        if place is None:
            entries.append(entry)
        else:
            entries[place] = entry
    return tuple(entries)


def close(subscriber: Subscriber, cpr: str, episode: str, at: datetime) -> Subscriber:
    """The subscriber after a user has closed a stay by hand (19.15); a newer notification opens it again."""
    stays = tuple(
        StayView(messages=s.messages, closed=at)
        if s.messages[0].cpr == cpr and any(same_episode(e.value, episode) for e in s.messages[0].episode)
        else s
        for s in subscriber.stays
    )
    return Subscriber(stays=stays)


def whereabouts(subscriber: Subscriber, cpr: str) -> Unit | None:
    """The unit where the citizen is now: the open stay that began last, for a start replaces the place (19.9)."""
    stays = [s for s in subscriber.stays if s.messages[-1].cpr == cpr and status(s) in _OPEN]
    return max(stays, key=lambda s: _times(s.messages[-1])[1]).messages[-1].provider if stays else None


# ---- which message is this, and which came first -----------------------------------------------------------------


def _same_stay(left: HospitalNotification, right: HospitalNotification) -> bool:
    """Same citizen, and one episode-of-care id in common, whatever its spelling (14.8)."""
    pairs = ((a.value, b.value) for a in left.episode for b in right.episode)
    return left.cpr == right.cpr and any(same_episode(a, b) for a, b in pairs)


def _older(message: HospitalNotification, other: HospitalNotification, *, collides: bool) -> bool:
    """Whether `message` was meant before `other`.

    In one chain the chain decides: who is named in it is older, else the shorter, else the one sent first. Without a
    chain in common what arrives later is newer: a sender that names a predecessor of another stay (19.16) still
    is about now. Only a message of another hospital, or a first message (19.9), is older when both its sending and its
    stay began earlier. An id that two messages share proves no chain.
    """
    (occurred, start), (other_occurred, other_start) = _times(message), _times(other)
    if not collides:
        if message.message_id in other.chain:
            return True
        if set(message.chain) & set(other.chain):
            return (len(message.chain), occurred) < (len(other.chain), other_occurred)
    if message.predecessor and message.sender.sor == other.sender.sor:
        return False
    return occurred < other_occurred and start < other_start


def _times(message: HospitalNotification) -> tuple[datetime, datetime]:
    """When it was sent, and when its stay began."""
    assert message.occurred is not None  # Provenance.occurred[x] and Encounter.period.start are 1..1: the check demands
    assert message.start is not None
    return message.occurred, message.start


# ---- what a user sees --------------------------------------------------------------------------------------------


def _meant(entries: list[HistoryEntry], message: HospitalNotification) -> int | None:
    """Which line a correction or cancellation is about: the one it names, else the last of its kind (19.16).

    A death has no activity code of its own: a second death that names the first corrects it (9.2). One that follows the
    cancellation of the first is another.
    """
    numbered = [(i, e) for i, e in enumerate(entries) if e.family is message.notice.family]
    named = [i for i, e in numbered if message.predecessor in e.message_ids]
    if not (message.notice.is_correction or message.notice.is_cancellation):
        again = message.notice is Notice.MORS and named and entries[named[-1]].mark != "cancelled"
        return named[-1] if again else None
    standing = [i for i, e in numbered if e.mark != "cancelled"]
    found = named or standing
    return found[-1] if found else None


def _warning(path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity="warning", path=path, rule=rule, problem=problem, remedy=remedy)


_REPEATED = _warning(
    "MessageHeader.id", "01 19.6", "this message was received before", "nothing to do: it is answered again, not shown"
)
_ID_TAKEN = _warning(
    "MessageHeader.id",
    "01 19.17",
    "another message with this id was received, of another citizen, sender or episode",
    "give every message an id of its own",
)
_UNKNOWN_PREDECESSOR = _warning(
    "Provenance.entity.what",
    "01 19.16",
    "the message named here was never received for this citizen and episode",
    "name the message that this one follows, corrects or cancels",
)
