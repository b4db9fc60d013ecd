"""A received notification as a value: which notice it is, of which stay, from whom, with which chain.

Decided by spec 01 §9.2 (classification), 6.8 (what receivers match by) and 7.9 (which time is shown). Read what `check`
finds no error in; what a receiver then does with it is not here.
"""

from collections.abc import Container
from datetime import datetime

import msgspec

from streams.formats.fhir.shapes import instant_of
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.model import EpisodeIdentifier

from .classify import classify
from .identifiers import gln_of, sor_of
from .moments import leave_periods
from .rules import REPORT_FLAG_URL, REPORT_RECIPIENT_URL
from .view import (
    Object,
    View,
    activity_of,
    extensions_of,
    first,
    is_after_death,
    listed,
    member,
    predecessor_of,
    reference,
    target_of,
    text_at,
)

__all__ = ["HospitalNotification", "UnitRead", "notice_of", "read"]


class UnitRead(msgspec.Struct, frozen=True, kw_only=True):
    """An Organization as it names itself; an empty text where it says nothing."""

    sor: str = ""
    gln: str = ""
    name: str = ""


class HospitalNotification(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver learns from one notification. Ids are bare (`MessageHeader.id`); times are as sent."""

    notice: Notice
    activity: str
    message_id: str
    envelope_id: str
    cpr: str
    family: str = ""
    given: tuple[str, ...] = ()
    status: str
    class_: str
    start: datetime | None = None
    end: datetime | None = None
    leave_start: datetime | None = None
    leave_end: datetime | None = None
    deceased: bool | None = None
    episode: tuple[EpisodeIdentifier, ...] = ()
    role: str = ""
    previous: str = ""  # id of the message it follows, corrects or cancels
    previous_letter: str = ""  # `<lokationsnummer>#<brevid>` of a legacy predecessor
    occurred: datetime | None = None
    chain: tuple[str, ...] = ()  # message ids that its Provenances are about, its own included, by time of sending
    sender: UnitRead = UnitRead()
    receiver: UnitRead = UnitRead()
    provider: UnitRead = UnitRead()
    report_of_admission: bool | None = None
    report_recipient: UnitRead | None = None

    def __repr__(self) -> str:
        return f"HospitalNotification({self.notice}, {self.message_id})"

    @property
    def shown_at(self) -> datetime | None:
        """The time that a user is shown (7.9)."""
        by_family = {"STOR": self.leave_start, "SLOR": self.leave_end, "SLHJ": self.end, "MORS": self.end}
        return by_family.get(self.notice.family, self.start)


def notice_of(view: View, deaths: Container[str] = ()) -> Notice | None:
    """The notice of a message, None when its current Provenance does not say one.

    `deaths`: MessageHeader ids that the reader knows to be a MORS of this stay (9.2, 2).
    """
    if not view.current:
        return None
    provenance = view.current[0][1]
    deceased = view.patient[1].get("deceasedBoolean")
    known = (predecessor_of(provenance) or "").removeprefix("MessageHeader/") in deaths
    return classify(
        activity_of(provenance),
        text_at(first(provenance, "entity"), "role") or "",
        deceased if deceased.__class__ is bool else None,
        after_death=known or is_after_death(view, provenance),
    )


def read(bundle: Object, deaths: Container[str] = ()) -> HospitalNotification:
    """The notification in a Bundle. Raises `Rejected` when nothing in it says which notice it is."""
    view = View(bundle)
    notice = notice_of(view, deaths)
    if notice is None:
        raise Rejected("Bundle.entry", "no Provenance says what this message is", "send a message that is valid", "P-1")
    provenance, encounter, period = view.current[0][1], view.encounter[1], member(view.encounter[1], "period")
    return HospitalNotification(
        notice=notice,
        activity=activity_of(provenance).lower(),
        message_id=text_at(view.header[1], "id") or "",
        envelope_id=text_at(bundle, "id") or "",
        status=text_at(encounter, "status") or "",
        class_=text_at(member(encounter, "class"), "code") or "",
        start=_at(period, "start"),
        end=_at(period, "end"),
        episode=_episode(encounter),
        occurred=_at(provenance, "occurredDateTime"),
        chain=_chain(view),
        provider=_unit(view, reference(encounter, "serviceProvider")),
        **_before(provenance),
        **_person(view.patient[1]),
        **_leave(view),
        **_header(view),
    )


def _at(value: Object, name: str) -> datetime | None:
    text = text_at(value, name)
    return None if text is None else instant_of(text)


def _before(provenance: Object) -> Object:
    entity = first(provenance, "entity")
    return {
        "role": text_at(entity, "role") or "",
        "previous": (predecessor_of(provenance) or "").removeprefix("MessageHeader/"),
        "previous_letter": text_at(member(member(entity, "what"), "identifier"), "value") or "",
    }


def _person(patient: Object) -> Object:
    name = first(patient, "name")
    deceased = patient.get("deceasedBoolean")
    return {
        "cpr": text_at(first(patient, "identifier"), "value") or "",
        "family": text_at(name, "family") or "",
        "given": tuple(g for g in listed(name, "given") if isinstance(g, str)),
        "deceased": deceased if isinstance(deceased, bool) else None,
    }


def _leave(view: View) -> Object:
    leave = next((period for _, period in leave_periods(view)), {})
    return {"leave_start": _at(leave, "start"), "leave_end": _at(leave, "end")}


def _episode(encounter: Object) -> tuple[EpisodeIdentifier, ...]:
    found = [member(r, "identifier") for r in listed(encounter, "episodeOfCare") if r.__class__ is dict]
    return tuple(
        EpisodeIdentifier(system=text_at(i, "system") or "", value=value)
        for i in found
        if (value := text_at(i, "value")) is not None
    )


def _chain(view: View) -> tuple[str, ...]:
    dated = [
        (text_at(p, "recorded") or "", (target_of(p) or "").removeprefix("MessageHeader/")) for _, p in view.provenances
    ]
    moments = [(moment.timestamp() if (moment := instant_of(text)) else 0.0, id_) for text, id_ in dated]
    return tuple(id_ for _, id_ in sorted(moments, key=lambda pair: pair[0]))


def _header(view: View) -> Object:
    header = view.header[1]
    values = extensions_of(header)
    flag = values.get(REPORT_FLAG_URL, {}).get("valueBoolean")
    recipient = reference(values.get(REPORT_RECIPIENT_URL, {}), "valueReference")
    return {
        "sender": _unit(view, reference(header, "sender")),
        "receiver": _unit(view, reference(first(header, "destination"), "receiver")),
        "report_of_admission": flag if isinstance(flag, bool) else None,
        "report_recipient": None if recipient is None else _unit(view, recipient),
    }


def _unit(view: View, written: str | None) -> UnitRead:
    found = view.resolve(written)
    if found is None:
        return UnitRead()
    organization = found[1]
    return UnitRead(
        sor=sor_of(organization) or "", gln=gln_of(organization) or "", name=text_at(organization, "name") or ""
    )
