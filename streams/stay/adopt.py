"""A stay that stood before the relay knew it is taken over as it stands, and nobody is notified (spec 05 §6.4).

At the go-live of a hospital its open stays are known to the municipalities already, from another system and often from
legacy letters. The visit becomes what it would be had its notices left from here: the same rules allow them, and the
chain holds the messages that were sent, under their own ids and times. What was sent as a letter, or had no form at all, is
remembered by the lane, which knows formats.
"""

from typing import Final

from msgspec.structs import replace

from streams.words.codes import SOR_ENDPOINT, EncounterClass, Family
from streams.words.ids import MessageId, ids_beside
from streams.words.model import EpisodeIdentifier, Fate, Outcome, PriorNotice, PriorStay

from .notify import PROVENANCE, Draft, NotificationRefused, notify, unit_index
from .state import ChainStep, Pending, Sent, Situation, Stay, hospital_of, situation, stamp

#: The stay stands as it was given.
TAKEN_OVER: Final = Outcome(fate=Fate.NOT_SUBJECT, reason="taken-over")
KNOWN: Final = Outcome(
    fate=Fate.STOPPED,
    reason="already-known",
    path="visit_number",
    problem="the relay knows this stay already, from events of its own or from an earlier import",
    remedy="nothing, when it stands as you have it: stafet stays show; else send the ADT events that put it right",
)
_INCOMPLETE: Final = Outcome(
    fate=Fate.STOPPED,
    reason="not-usable",
    path="$",
    problem="a stay needs an official CPR number, a unit and a start",
    remedy="import it with stafet stays import, which checks each line",
)

_CLASSES: Final[dict[Family, EncounterClass]] = {Family.STAA: "EMER"}


def take_over(draft: Draft, prior: PriorStay) -> Outcome:
    """The visit as it stands after these notices. What waits for its START can be taken up then."""
    event, visit = draft.event, draft.visit
    if situation(visit.stay) not in (Situation.NONE, Situation.PLANNED):
        return KNOWN
    if event.patient is None or event.unit is None or not prior.notices:
        return _INCOMPLETE
    before, ordinal = visit, draft.ordinal
    draft.visit = replace(
        visit, patient=event.patient, number=visit.number or event.visit_number, lpr3=event.lpr3 or visit.lpr3
    )
    unit = unit_index(draft, event.unit)
    first = prior.notices[0]
    episode: tuple[EpisodeIdentifier, ...] = ()
    if prior.episode:
        episode = (EpisodeIdentifier(system=SOR_ENDPOINT + event.unit.sor, value=prior.episode),)
    pending = Pending(class_=_CLASSES.get(first.notice.family, "IMP"), start=stamp(first.time), episode=episode)
    draft.set_stay(Stay(hospital=hospital_of(event.unit), unit=unit, pending=pending))
    try:
        for number, one in enumerate(prior.notices):
            draft.visit = replace(draft.visit, residence=one.to)
            notify(draft, one.notice, time=stamp(one.time), report=prior.report and not number)
    except NotificationRefused as refused:
        draft.visit, draft.ordinal = before, ordinal
        draft.notes.clear()
        return refused.outcome
    draft.notes.clear()
    draft.ordinal = ordinal
    draft.visit = replace(draft.visit, residence=event.residence, residence_problem=event.residence_problem)
    draft.set_stay(_as_sent(draft.stay, prior.notices))
    return TAKEN_OVER


def _as_sent(stay: Stay, notices: tuple[PriorNotice, ...]) -> Stay:
    """The stay with the ids and times of what was sent. A letter keeps the id that stands for it here."""
    own: dict[str, MessageId] = {}
    chain: list[ChainStep] = []
    for step, one in zip(stay.chain, notices, strict=True):
        message_id = MessageId(one.id) if one.format == "fhir" else step.message_id
        own[step.message_id] = message_id
        chain.append(
            replace(
                step,
                message_id=message_id,
                provenance_id=ids_beside(message_id, (PROVENANCE,))[0],
                occurred=stamp(one.sent),
                previous=own.get(step.previous, ""),
            )
        )
    sent: list[Sent] = [replace(one, message_id=own[one.message_id]) for one in stay.sent]
    return replace(stay, chain=tuple(chain), sent=tuple(sent))
