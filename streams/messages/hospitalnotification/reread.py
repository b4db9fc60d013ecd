"""A message of our own, read back into the notification that it was written from: the inverse of `write`.

What a message says lies in its bytes and nowhere else once the stay has gone on. To send it anew (00 §3.5) it is taken
up again in our words, given new ids, and written like any other; so it gets today's address and passes every check.

Not here: foreign messages (`read`), which may say things that we never write.
"""

from typing import Any, get_args

from streams.formats.fhir.shapes import instant_of
from streams.words.codes import Notice, Role
from streams.words.ids import EpisodeId, EventId, Gln, Kommunekode, Lane, MessageId, Sor
from streams.words.model import Link, Notification, Patient, Unit

from .identifiers import gln_of, sor_of
from .read import HospitalNotification, UnitRead, read
from .view import Object, View, activity_of, first, listed, member, predecessor_of, reference, target_of, text_at

__all__ = ["reread"]


def reread(
    bundle: Object, *, notice: Notice, lane: Lane, visit: EpisodeId, ordinal: int, event_id: EventId, to: Kommunekode
) -> Notification:
    """The notification in a Bundle that `write` has made; what the Bundle does not say is given.

    Units have number, GLN and name, which is all that is written of them. The notice of an earlier link is not told by
    its Provenance alone, so every link has that of the message.
    """
    said, view = read(bundle), View(bundle)
    assembled = instant_of(bundle["timestamp"])
    assert assembled is not None and said.start is not None  # noqa: PT018  # we have written them
    recipient = said.report_recipient
    return Notification(
        notice=notice,
        message_id=MessageId(said.message_id),
        lane=lane,
        visit=visit,
        ordinal=ordinal,
        event_id=event_id,
        assembled=assembled,
        start=said.start,
        patient=Patient(cpr=said.cpr, family=said.family, given=said.given),
        sender=_unit(said.sender),
        provider=_unit(said.provider),
        report_of_admission=bool(said.report_of_admission),
        report_recipient=None if recipient is None else _unit(recipient),
        to=to,
        chain=tuple(_link(view, provenance, notice) for _, provenance in view.provenances),
        **_as_read(said),
    )


def _as_read(said: HospitalNotification) -> dict[str, Any]:
    names = ("class_", "status", "end", "leave_start", "leave_end", "deceased", "episode")
    return {name: getattr(said, name) for name in names}


def _unit(unit: UnitRead) -> Unit:
    return Unit(sor=Sor(unit.sor), gln=Gln(unit.gln), name=unit.name)


def _link(view: View, provenance: Object, notice: Notice) -> Link:
    entity = first(provenance, "entity")
    role = text_at(entity, "role") or ""
    occurred = instant_of(provenance["occurredDateTime"])
    assert occurred is not None  # we have written it
    agent = view.resolve(reference(listed(provenance, "agent")[0], "who"))
    assert agent is not None  # 15.6: every actor is in the Bundle
    organization = agent[1]
    return Link(
        message_id=MessageId((target_of(provenance) or "").removeprefix("MessageHeader/")),
        provenance_id=provenance["id"],
        notice=notice,
        activity=activity_of(provenance),
        occurred=occurred,
        role=_ROLES[role],
        previous=(predecessor_of(provenance) or "").removeprefix("MessageHeader/"),
        previous_letter=text_at(member(member(entity, "what"), "identifier"), "value") or "",
        agent=Unit(
            sor=Sor(sor_of(organization) or ""),
            gln=Gln(gln_of(organization) or ""),
            name=text_at(organization, "name") or "",
        ),
    )


_ROLES: dict[str, Role] = {role: role for role in get_args(Role)}
