"""A received notification as a value: which notice it is, of which stay, from whom, with which chain.

Decided by spec 01 §9.2 (classification), 6.8 (what receivers match by) and 7.9 (which time is shown). Read what `check`
finds no error in; what a receiver then does with it is not here.

`inspect` shows people and checks outside what a document holds and whether it is right (acceptance.md). It never raises on
content: what cannot be read is an issue, and every key of the reading is there, `null` where the document has nothing.
"""

from collections.abc import Container
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from streams.formats.fhir.read import document
from streams.messages.common import (
    Object,
    Placed,
    View,
    activity_of,
    bare_id,
    extensions_of,
    first,
    gln_of,
    instant_at,
    listed,
    member,
    predecessor_of,
    reference,
    sor_of,
    target_of,
    text_at,
)
from streams.words.codes import Notice
from streams.words.errors import Rejected, judgement
from streams.words.ids import Gln, Kommunekode, MessageId, Sor, bare
from streams.words.model import EpisodeIdentifier, Link, Notification, Patient, Unit

from .check import check, leave_periods
from .rules import LEAVE_PERIOD_URL, REPORT_FLAG_URL, REPORT_RECIPIENT_URL, classify, notice_of

_UNDATED: Final = datetime(1970, 1, 1, tzinfo=UTC)


#: An Organization without anything of its own; one that does has its number, GLN and name.
_NO_UNIT: Final = Unit(sor=Sor(""), gln=Gln(""), name="")


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
    sender: Unit = _NO_UNIT
    receiver: Unit = _NO_UNIT
    provider: Unit = _NO_UNIT  # the unit in charge: where the citizen is
    report_of_admission: bool | None = None
    report_recipient: Unit | None = None

    def __repr__(self) -> str:
        return f"HospitalNotification({self.notice}, {self.message_id})"

    @property
    def predecessor(self) -> str:
        """What it follows, corrects or cancels: a message id, or a legacy letter; "" on an initial message."""
        return self.previous or self.previous_letter

    @property
    def shown_at(self) -> datetime | None:
        """The time that a user is shown (7.9)."""
        by_family = {"STOR": self.leave_start, "SLOR": self.leave_end, "SLHJ": self.end, "MORS": self.end}
        return by_family.get(self.notice.family, self.start)


def read(bundle: Object, deaths: Container[str] = ()) -> HospitalNotification:
    """The notification in a Bundle. Raises `Rejected` when nothing in it names its notice.

    `deaths`: MessageHeader ids that the reader knows to be a MORS of this stay (9.2, 2).
    """
    view = View(bundle)
    notice = notice_of(view, deaths)
    if notice is None:
        raise Rejected("Bundle.entry", "no Provenance says what this message is", "send a message that is valid", "P-1")
    header, encounter, patient, provenance = view.header[1], view.encounter[1], view.patient[1], view.current[0][1]
    period, name, entity = member(encounter, "period"), first(patient, "name"), first(provenance, "entity")
    leave = member(extensions_of(encounter).get(LEAVE_PERIOD_URL, {}), "valuePeriod")
    deceased = patient.get("deceasedBoolean")
    extensions = extensions_of(header)
    flag = extensions.get(REPORT_FLAG_URL, {}).get("valueBoolean")
    recipient = reference(extensions.get(REPORT_RECIPIENT_URL, {}), "valueReference")
    episode = [member(r, "identifier") for r in listed(encounter, "episodeOfCare") if r.__class__ is dict]
    chain = [provenance for _, provenance in by_time(view)]
    return HospitalNotification(
        notice=notice,
        activity=activity_of(provenance).lower(),
        message_id=text_at(header, "id") or "",
        envelope_id=text_at(bundle, "id") or "",
        cpr=text_at(first(patient, "identifier"), "value") or "",
        family=text_at(name, "family") or "",
        given=tuple(given for given in listed(name, "given") if isinstance(given, str)),
        status=text_at(encounter, "status") or "",
        class_=text_at(member(encounter, "class"), "code") or "",
        start=instant_at(period, "start"),
        end=instant_at(period, "end"),
        leave_start=instant_at(leave, "start"),
        leave_end=instant_at(leave, "end"),
        deceased=deceased if isinstance(deceased, bool) else None,
        episode=tuple(
            EpisodeIdentifier(system=text_at(identifier, "system") or "", value=value)
            for identifier in episode
            if (value := text_at(identifier, "value")) is not None
        ),
        role=text_at(entity, "role") or "",
        previous=bare_id(predecessor_of(provenance)),
        previous_letter=_letter(entity),
        occurred=instant_at(provenance, "occurredDateTime"),
        chain=tuple(bare_id(target_of(link)) for link in chain),
        sender=_unit(view, reference(header, "sender")),
        receiver=_unit(view, reference(first(header, "destination"), "receiver")),
        provider=_unit(view, reference(encounter, "serviceProvider")),
        report_of_admission=flag if isinstance(flag, bool) else None,
        report_recipient=None if recipient is None else _unit(view, recipient),
    )


def by_time(view: View) -> list[Placed]:
    """The chain as it was sent."""
    return sorted(view.provenances, key=lambda placed: instant_at(placed[1], "recorded") or _UNDATED)


def notified(bundle: Object, to: Kommunekode, deaths: Container[str] = ()) -> Notification:
    """The notification in a Bundle to a municipality as one of ours, with the chain that it carries.

    Read what `check` finds no error in. Units are what the Bundle has of them. Raises `Rejected` where something is
    missing without which there is no notice.
    """
    found, view = read(bundle, deaths), View(bundle)
    facts = {name: getattr(found, name) for name in _SHARED}
    assembled = instant_at(bundle, "timestamp")
    try:
        return msgspec.convert(
            facts
            | {
                "lane": bare(found.message_id)[:8],
                "visit": found.episode[0].value if found.episode else None,
                "ordinal": 0,
                "event_id": bare(found.message_id),
                "assembled": assembled or found.occurred,
                "patient": Patient(cpr=found.cpr, family=found.family, given=found.given),
                "report_of_admission": found.report_of_admission is True,
                "to": to,
                "chain": tuple(_link(view, provenance, found) for _, provenance in by_time(view)),
            },
            Notification,
            from_attributes=True,
        )
    except msgspec.ValidationError as fault:
        raise Rejected("Bundle", f"not a notice: {fault}", "send a message that is valid", "2") from None


#: Fields that are the same in both.
_SHARED: Final = tuple(
    name for name in HospitalNotification.__struct_fields__ if name in Notification.__struct_fields__
)


def _link(view: View, provenance: Object, newest: HospitalNotification) -> Link:
    """One of the chain. A death has the code of another notice: of all but the newest, `notice` says no more than that."""
    target = bare_id(target_of(provenance))
    entity, activity, sent = first(provenance, "entity"), activity_of(provenance), instant_at(provenance, "recorded")
    role = text_at(entity, "role") or ""
    return Link(
        message_id=MessageId(target),
        provenance_id=text_at(provenance, "id") or "",
        notice=newest.notice
        if target == newest.message_id
        else classify(activity, role, None, after_death=False) or Notice.STIN,
        activity=activity.lower(),
        occurred=sent or _UNDATED,
        role="removal" if role == "removal" else "revision" if role else "",
        previous=bare_id(predecessor_of(provenance)),
        previous_letter=_letter(entity),
        agent=_unit(view, reference(first(provenance, "agent"), "who")),
    )


def _letter(entity: Object) -> str:
    """The number of a legacy letter that entity.what names; empty when it names none."""
    return text_at(member(member(entity, "what"), "identifier"), "value") or ""


def _unit(view: View, written: str | None) -> Unit:
    found = view.resolve(written)
    if found is None:
        return _NO_UNIT
    of, name = found[1], text_at(found[1], "name")
    return Unit(sor=Sor(sor_of(of) or ""), gln=Gln(gln_of(of) or ""), name=name or "")


# ---- for people --------------------------------------------------------------------------------------------------------

KIND: Final = "hospital-notification"


def inspect(data: bytes) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` of a document in JSON or XML."""
    try:
        read = document(data)
    except Rejected as rejected:
        bundle: Object = {}
        issues = [rejected.issue()]
    else:
        bundle, issues = read.resource, read.beside(check(read.resource))
    judged = judgement(KIND, issues, reading(bundle))
    judged["reading"]["acknowledgement"] = "ok" if judged["valid"] else "fatal-error"
    return judged


def reading(bundle: Object) -> dict[str, Any]:
    """The content of the message, as written; None for what it does not have. For any dict."""
    view = View(bundle)
    header, encounter, provenance = view.header[1], view.encounter[1], view.current[0][1] if view.current else {}
    notice, deceased = notice_of(view), view.patient[1].get("deceasedBoolean")
    flag = extensions_of(header).get(REPORT_FLAG_URL, {}).get("valueBoolean")
    episode = [member(r, "identifier") for r in listed(encounter, "episodeOfCare") if r.__class__ is dict]
    what = member(first(provenance, "entity"), "what")
    sender, provider = _organization(view, header, "sender"), _organization(view, encounter, "serviceProvider")
    return {
        "type": None if notice is None else str(notice),
        "activity": activity_of(provenance) or None,
        "encounter_status": text_at(encounter, "status"),
        "encounter_class": text_at(member(encounter, "class"), "code"),
        "deceased": deceased if isinstance(deceased, bool) else None,
        "period": _times(member(encounter, "period")) or None,
        "leave_periods": [times for _, period in leave_periods(view) if (times := _times(period))],
        "episode_of_care": [value for each in episode if (value := text_at(each, "value")) is not None],
        "provenances": len(view.provenances),
        "entity_role": text_at(first(provenance, "entity"), "role"),
        "previous_message": text_at(what, "reference") or text_at(member(what, "identifier"), "value"),
        "occurred": text_at(provenance, "occurredDateTime"),
        "message_header_id": text_at(header, "id"),
        "bundle_id": text_at(bundle, "id"),
        "primary_destination_gln": gln_of(_organization(view, first(header, "destination"), "receiver")),
        "sender_gln": gln_of(sender),
        "sender_sor": sor_of(sender),
        "service_provider_sor": sor_of(provider),
        "report_of_admission": flag if isinstance(flag, bool) else None,
    }


def _times(period: Object) -> dict[str, str]:
    return {name: text for name in ("start", "end") if (text := text_at(period, name)) is not None}


def _organization(view: View, value: Object, name: str) -> Object:
    """The resource that the reference under a name means; empty when there is none."""
    found = view.resolve(reference(value, name))
    return {} if found is None else found[1]
