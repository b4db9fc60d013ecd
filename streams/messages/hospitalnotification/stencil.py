"""A notification as the bytes that leave, checked: most messages are one of some fifty shapes with other texts in it.

Theory of operation. All that decides what a message is like, but for ids, times, numbers and names, is its `Shape`. For a
shape the plain writer is asked once, for a specimen whose texts are marks; the full check judges that specimen; its
bytes, cut at the marks, are a stencil. Any other message of the shape is the stencil with its own texts in the holes,
and only these are tested, by the tests that the full check makes of them. The specimen is made from the shape alone, so
nothing that is not in the shape or in a hole can be in the bytes.

Nothing is worded here: where a text does not pass, or the shape is not right, the plain writer and the full check have
the message (`write`, `check`). The tests may doubt freely and must never pass what the full check does not.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import count
from operator import itemgetter
from typing import Final, NamedTuple

from streams.formats.fhir.build import Representation
from streams.formats.fhir.shapes import PATTERNS, escaped, instant_of, is_text
from streams.messages.common import clean, describe_unit, gln_is_valid, organization_identifiers
from streams.words.codes import LPR3_SYSTEM, EncounterClass, EncounterStatus, Notice, Role
from streams.words.errors import Issue
from streams.words.ids import EpisodeId, EventId, Gln, Kommunekode, Lane, MessageId, Sor
from streams.words.model import EpisodeIdentifier, Link, Notification, Patient, Unit
from streams.words.times import COPENHAGEN, danish_text

from .check import UUID, check
from .rules import LPR3_ID, cpr_is_plausible, is_danish
from .write import resource_ids, roles_of, write


def compose(n: Notification, receiver: Unit, envelope_id: str, form: Representation) -> tuple[bytes, list[Issue]]:
    """The message in bytes, or what is wrong with it: as `write`, `check` and the writer of the form have it."""
    roles = roles_of(n, receiver)
    texts = texts_of(n, roles, envelope_id, form) if len(n.chain) <= _LONGEST else None
    stencil = None if texts is None else stencil_of(shape_of(n, receiver, roles), form)
    if texts is not None and stencil is not None:
        return stencil.filled(texts), []
    bundle = write(n, receiver, envelope_id)
    found = check(bundle, outgoing=True)
    return b"" if found else form.write(bundle), found


# ---- shapes ---------------------------------------------------------------------------------------------------------

#: Each unit once, by its SOR code, with the profile that its roles ask for.
Roles = dict[Sor, tuple[Unit, str]]


class Shape(NamedTuple):
    """What a message is but for the texts in its holes. Units and messages are named by their place."""

    status: EncounterStatus
    class_: EncounterClass
    deceased: bool | None
    times: tuple[bool, bool, bool]  # whether there are: end, start of leave, end of leave
    asks: bool
    units: tuple[tuple[bool, bool], ...]  # whether each has: GLN, name
    receiver: int
    provider: int
    recipient: int | None
    given: int
    lpr3: tuple[bool, ...]  # of the ids of the episode
    own: int | None  # the link that is about this message
    links: tuple[tuple[str, Role, int, int | None], ...]  # activity, role, who acted, the message before (-1: not here)


def shape_of(n: Notification, receiver: Unit, roles: Roles) -> Shape:
    """The shape of a notification."""
    units = {sor: place for place, sor in enumerate(roles)}
    links = {link.message_id: place for place, link in enumerate(n.chain)}
    return Shape(
        n.status,
        n.class_,
        n.deceased,
        (n.end is not None, n.leave_start is not None, None not in (n.leave_start, n.leave_end)),
        n.report_of_admission,
        tuple([(bool(unit.gln), bool(unit.name)) for unit, _ in roles.values()]),
        units[receiver.sor],
        units[n.provider.sor],
        None if n.report_recipient is None else units[n.report_recipient.sor],
        len(n.patient.given),
        tuple([each.system == LPR3_SYSTEM for each in n.episode]),
        links.get(n.message_id),
        tuple(
            [
                (
                    link.activity,
                    link.role,
                    units[link.agent.sor],
                    links.get(link.previous, -1) if link.previous else None,  # type: ignore[call-overload]  # text
                )
                for link in n.chain
            ]
        ),
    )


_FIRST_DAY: Final = datetime(1901, 1, 1, 12, tzinfo=COPENHAGEN)


def specimen(shape: Shape) -> tuple[Notification, Unit, str]:
    """A notification of the shape, its receiver and its Bundle.id, in which every text is another and marks its place."""
    number = count(1).__next__

    def text() -> str:
        return f"<mark-{number()}>"  # the two angles show whether it has been escaped, and for what

    def uuid() -> str:
        return f"f0f0f0f0-f0f0-4f0f-8f0f-f0f{number():06x}000"  # the ids beside it differ in the last digits

    def moment() -> datetime:
        return _FIRST_DAY + timedelta(days=number())

    def unit(has_gln: bool, has_name: bool) -> Unit:
        front = f"5799999{number():05}"
        gln = next(found for end in range(10) if gln_is_valid(found := f"{front}{end}")) if has_gln else ""
        return Unit(sor=Sor(f"77777777777{number():04}"), gln=Gln(gln), name=text() if has_name else "")

    def identifier(lpr3: bool) -> EpisodeIdentifier:
        if lpr3:
            return EpisodeIdentifier(system=LPR3_SYSTEM, value=f"urn:uuid:f0f0f0f0-f0f0-5f0f-8f0f-f0f{number():09x}")
        return EpisodeIdentifier(system=f"urn:{text()}", value=text())

    units = [unit(*has) for has in shape.units]
    ids = [MessageId(uuid()) for _ in shape.links]
    start, leave_start, leave_end, end, assembled = (moment() for _ in range(5))
    chain = tuple(
        Link(
            message_id=ids[place],
            provenance_id=uuid(),
            notice=Notice.STIN,
            activity=activity,
            occurred=moment(),
            role=role,
            previous="" if before is None else ids[before] if before >= 0 else uuid(),
            previous_letter=text() if role and before is None else "",
            agent=units[agent],
        )
        for place, (activity, role, agent, before) in enumerate(shape.links)
    )
    has_end, has_leave, has_return = shape.times
    marked = Notification(
        notice=Notice.STIN,
        message_id=MessageId(uuid()) if shape.own is None else ids[shape.own],
        lane=Lane(""),
        visit=EpisodeId(""),
        ordinal=0,
        event_id=EventId(""),
        assembled=assembled,
        class_=shape.class_,
        status=shape.status,
        start=start,
        end=end if has_end else None,
        leave_start=leave_start if has_leave else None,
        leave_end=leave_end if has_return else None,
        deceased=shape.deceased,
        patient=Patient(cpr="0101018888", family=text(), given=tuple(text() for _ in range(shape.given))),
        sender=units[0],
        provider=units[shape.provider],
        report_of_admission=shape.asks,
        report_recipient=None if shape.recipient is None else units[shape.recipient],
        episode=tuple(map(identifier, shape.lpr3)),
        to=Kommunekode(""),
        chain=chain,
    )
    return marked, units[shape.receiver], uuid()


# ---- stencils -------------------------------------------------------------------------------------------------------


class Stencil:
    """The bytes of a shape, cut where the texts of a message stand."""

    __slots__ = ("_pick", "_pieces")

    def __init__(self, marked: str, marks: Sequence[str]) -> None:
        places = {mark: place for place, mark in enumerate(marks) if mark}
        pieces = re.split(f"({'|'.join(map(re.escape, places))})", marked)
        self._pieces = [piece.encode() for piece in pieces]
        self._pick = itemgetter(*[places[mark] for mark in pieces[1::2]])

    def filled(self, texts: Sequence[str]) -> bytes:
        """The message with these texts, which stand in the order of the marks."""
        pieces = self._pieces.copy()
        pieces[1::2] = self._pick("\0".join(texts).encode().split(b"\0"))
        return b"".join(pieces)


#: Links of a chain: no two messages of a longer one are likely to be of one shape.
_LONGEST: Final = 12


@lru_cache(maxsize=512)  # some 15 kB each; a simulated town has 28 shapes
def stencil_of(shape: Shape, form: Representation) -> Stencil | None:
    """The stencil of a shape; None when the full check finds anything in it."""
    n, receiver, envelope_id = specimen(shape)
    marks = texts_of(n, roles_of(n, receiver), envelope_id, form)
    bundle = write(n, receiver, envelope_id)
    if marks is None or check(bundle, outgoing=True):
        return None
    return Stencil(form.write(bundle).decode(), marks)


# ---- holes ----------------------------------------------------------------------------------------------------------

_URI: Final = PATTERNS["uri"]
_UUIDS: Final = re.compile(f"{UUID}(?: {UUID})*")


def texts_of(n: Notification, roles: Roles, envelope_id: str, form: Representation) -> list[str] | None:
    """What stands in the holes, in one order for all messages of a shape; None when the full check has to look at it.

    A name or a number of others stands twice: as it is in a value, and as it is in a narrative.
    """
    ids, times = [envelope_id, *resource_ids(n.message_id, len(roles))], _times(n)
    for link in n.chain:
        ids += (link.message_id, link.provenance_id)
    named = " ".join(ids)
    if (
        times is None
        or len(named) != len(ids) * 37 - 1  # each a UUID with the blank that was put behind it, so none holds another
        or _UUIDS.fullmatch(named) is None
        or len(set(ids)) != len(ids)
        or not cpr_is_plausible(n.patient.cpr)
    ):
        return None
    others = [clean(n.patient.family), *map(clean, n.patient.given)]
    for each in n.episode:
        if (LPR3_ID.fullmatch(each.value) if each.system == LPR3_SYSTEM else _URI.fullmatch(each.system)) is None:
            return None
        others += (each.system, each.value)
    others += [link.previous_letter for link in n.chain if link.role and not link.previous]
    found = [n.patient.cpr, *ids, *times]
    for text in others:
        if not is_text(text):
            return None
        found += (form.text(text), form.narrative(escaped(text)))
    for unit, _ in roles.values():
        if (described := _of_unit(unit.sor, unit.gln, unit.name, form)) is None:
            return None
        found += described
    return found


def _times(n: Notification) -> list[str] | None:
    """The times as shown in Denmark, "" for one that there is not: stay, leave and return in this order, assembly and
    start before sending.
    """
    texts, instants = [], []
    leave_end = None if n.leave_start is None else n.leave_end  # without its start a leave is not written
    for at in (n.start, n.leave_start, leave_end, n.end, n.assembled, *[link.occurred for link in n.chain]):
        text = "" if at is None else danish_text(at)
        instant = _instant(text)
        if at is not None and instant is None:
            return None
        texts.append(text)
        instants.append(instant)
    start, left, back, end, assembled, *sent = instants
    assert start is not None
    assert assembled is not None
    if (left and left < start) or (left and back and back < left) or (end and end < start):
        return None
    for link, instant in zip(n.chain, sent, strict=True):
        if link.message_id == n.message_id and (instant is None or instant < start or instant < assembled):
            return None
    return texts


@lru_cache(maxsize=4096)
def _instant(text: str) -> datetime | None:
    return instant_of(text) if is_danish(text) else None


@lru_cache(maxsize=4096)  # the municipalities, and the wards of the hospitals
def _of_unit(sor: str, gln: str, name: str, form: Representation) -> tuple[str, str, str, str] | None:
    """The texts of a unit, None when it is not right; its name is not wanted, and then it is empty."""
    _, _, described = describe_unit(sor, gln, name)
    shown = described.get("name", "")
    if organization_identifiers(described["identifier"]) or (name and not is_text(shown)):
        return None
    return sor, gln, form.text(shown), form.narrative(escaped(shown))
