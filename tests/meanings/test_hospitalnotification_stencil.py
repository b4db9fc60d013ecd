"""A message by its stencil is, byte for byte and fault for fault, what the plain writer and the full check make of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.formats.fhir.build import JSON, XML, Representation
from streams.messages.hospitalnotification import check, compose, stencil, write
from streams.words.codes import ACTIVITIES, LPR3_SYSTEM, SOR_ENDPOINT, Notice
from streams.words.ids import Gln, MessageId, Sor
from streams.words.model import EpisodeIdentifier, Link, Notification, Patient, Unit
from tests.meanings.notifications import BEGIN, CASES, HEART, MUNICIPALITY, SURGERY, envelope_id, notification, story

FORMS = pytest.mark.parametrize("form", [JSON, XML], ids=["json", "xml"])
LONG = list(story(Notice.STIN, *[Notice.STOR, Notice.SLOR] * 5, Notice.SLHJ, Notice.RE_SLHJ, Notice.MORS))


def same(n: Notification, receiver: Unit = MUNICIPALITY, envelope: str = "", form: Representation = JSON) -> None:
    """Composing gives what writing and checking give, or fails as they do."""
    envelope = envelope or envelope_id(n)
    assert _outcome(lambda: compose(n, receiver, envelope, form)) == _outcome(
        lambda: _plain(n, receiver, envelope, form)
    )


def _plain(n: Notification, receiver: Unit, envelope: str, form: Representation) -> tuple[bytes, list[Any]]:
    bundle = write(n, receiver, envelope)
    found = check(bundle, outgoing=True)
    return b"" if found else form.write(bundle), found


def _outcome(work: Any) -> Any:
    try:
        return work()
    except (ValueError, KeyError, OverflowError):
        return "no notification at all"


def by_stencil(n: Notification, receiver: Unit = MUNICIPALITY) -> bool:
    """Whether it is made without the plain writer."""
    roles = stencil.roles_of(n, receiver)
    return (
        stencil.texts_of(n, roles, envelope_id(n), JSON) is not None
        and stencil.stencil_of(stencil.shape_of(n, receiver, roles), JSON) is not None
    )


@FORMS
@pytest.mark.parametrize("name", CASES)
def test_every_notice_is_plain_writers(name: str, form: Representation) -> None:
    same(notification(*CASES[name]), form=form)
    assert by_stencil(notification(*CASES[name]))


@FORMS
@pytest.mark.parametrize("number", range(len(LONG)))
def test_every_message_of_long_chain_is_plain_writers(number: int, form: Representation) -> None:
    same(LONG[number], form=form)


# ---- any shape, any text ----------------------------------------------------------------------------------------------

IDS = [f"{number:08x}-0c1b-4a5d-9e7e-3c1a5d2f4e6a" for number in range(8)]
ODD_IDS = ["", "x", IDS[0].upper(), IDS[0] + " ", f"{IDS[1]} {IDS[2]}", IDS[0][:-1] + "\n"]
NAMES = ["Elmer", "Sørensen Ærø", ' a  "quoted\\" <b>&amp; ', "Å", "\x00", "\ud800", "x\x85y", "", " ", "<mark-1>"]
UNITS = [
    HEART,
    SURGERY,
    MUNICIPALITY,
    replace(HEART, name="Another name of the same unit", gln=Gln("")),
    replace(HEART, gln=Gln("5790000209355")),
    replace(SURGERY, sor=Sor("1"), name=""),
    replace(MUNICIPALITY, name="  "),
    replace(SURGERY, gln=Gln("5790001348120"), name="<&> \"'"),
]
moments = st.one_of(
    st.integers(-3, 3).map(lambda hours: BEGIN + timedelta(hours=hours)),
    st.integers(-9, 9).map(lambda tenths: BEGIN + timedelta(seconds=tenths / 10)),
    st.integers(-4, 4).map(lambda half: datetime(2026, 10, 25, 1, tzinfo=UTC) + timedelta(minutes=30 * half)),
    st.sampled_from([datetime(1850, 1, 1, tzinfo=UTC), datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]),
)  # fmt: skip
ids = st.one_of(st.sampled_from(IDS), st.sampled_from(ODD_IDS))
texts = st.one_of(st.sampled_from(NAMES), st.text(max_size=4))
units = st.one_of(st.sampled_from(UNITS[:3]), st.sampled_from(UNITS))
episodes = st.builds(
    EpisodeIdentifier,
    system=st.sampled_from([SOR_ENDPOINT + HEART.sor, LPR3_SYSTEM, "urn:a<&>b", "", "a b", "a\0b"]),
    value=st.one_of(st.sampled_from(["urn:uuid:" + IDS[0][:14] + "5" + IDS[0][15:], IDS[0], "urn:uuid:" + IDS[0]]), texts),
)  # fmt: skip
links = st.builds(
    Link,
    message_id=ids.map(MessageId),
    provenance_id=ids,
    notice=st.just(Notice.STIN),
    activity=st.sampled_from([*sorted(ACTIVITIES), "other"]),
    occurred=moments,
    role=st.sampled_from(["", "revision", "removal"]),
    previous=st.one_of(st.just(""), ids),
    previous_letter=st.one_of(st.just(""), texts),
    agent=units,
)


@st.composite
def changed(draw: st.DrawFn) -> Notification:
    """A notification of some story, a few of its fields replaced by others that may be right or wrong."""
    n = draw(st.sampled_from([*(notification(*case) for case in CASES.values()), *LONG]))
    fields: dict[str, st.SearchStrategy[Any]] = {
        "message_id": ids,
        "assembled": moments,
        "start": moments,
        "end": st.none() | moments,
        "leave_start": st.none() | moments,
        "leave_end": st.none() | moments,
        "status": st.sampled_from(["in-progress", "onleave", "finished", "entered-in-error", "other"]),
        "class_": st.sampled_from(["EMER", "IMP", "AMB"]),
        "deceased": st.sampled_from([None, True, False]),
        "patient": st.builds(
            Patient,
            cpr=st.sampled_from(["2509479989", "9909479989", "", "٢٥٠٩٤٧٩٩٨٩"]),
            family=texts,
            given=st.lists(texts, max_size=3).map(tuple),
        ),
        "sender": units,
        "provider": units,
        "report_of_admission": st.booleans(),
        "report_recipient": st.none() | units,
        "episode": st.lists(episodes, max_size=3).map(tuple),
        "chain": _chains(n),
    }
    names = draw(st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True))
    return replace(n, **{name: draw(fields[name]) for name in names})


def _chains(n: Notification) -> st.SearchStrategy[tuple[Link, ...]]:
    """The chain with one link in the place of another, given twice, left out, or changed in one field."""
    places = st.integers(0, len(n.chain) - 1)
    field = st.sampled_from(sorted(FIELDS)).flatmap(lambda name: FIELDS[name].map(lambda value: {name: value}))
    put = st.tuples(places, st.one_of(places.map(lambda at: n.chain[at]), links)).map(
        lambda pair: (*n.chain[: pair[0]], pair[1], *n.chain[pair[0] + 1 :])
    )
    change = st.tuples(places, field).map(
        lambda pair: (*n.chain[: pair[0]], replace(n.chain[pair[0]], **pair[1]), *n.chain[pair[0] + 1 :])
    )
    return st.one_of(put, change, places.map(lambda at: n.chain[at:]), st.permutations(n.chain).map(tuple))


FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "message_id": ids,
    "provenance_id": ids,
    "activity": st.sampled_from(sorted(ACTIVITIES)),
    "occurred": moments,
    "role": st.sampled_from(["", "revision", "removal"]),
    "previous": st.one_of(st.just(""), ids),
    "previous_letter": texts,
    "agent": units,
}


@settings(max_examples=400, deadline=None)
@given(changed(), units, st.sampled_from([JSON, XML]))
def test_any_message_is_plain_writers(n: Notification, receiver: Unit, form: Representation) -> None:
    same(n, receiver, form=form)


@settings(max_examples=300, deadline=None)
@given(changed(), units)
def test_specimen_has_shape_it_is_made_from(n: Notification, receiver: Unit) -> None:
    shape = stencil.shape_of(n, receiver, stencil.roles_of(n, receiver))
    try:
        marked, to, _ = stencil.specimen(shape)
    except KeyError:
        return
    if shape.own is not None and all(before != -1 for *_, before in shape.links):
        assert stencil.shape_of(marked, to, stencil.roles_of(marked, to)) == shape


@pytest.mark.parametrize("envelope", ["", "x", IDS[0] + "\n", "the message's own", "a Provenance's"])
def test_wrong_bundle_id_is_found(envelope: str) -> None:
    n = notification(Notice.SLOR)
    named = {"the message's own": n.message_id, "a Provenance's": n.chain[0].provenance_id}
    same(n, envelope=named.get(envelope) or envelope or " ")
    assert compose(n, MUNICIPALITY, named.get(envelope, envelope), JSON)[1]


def test_doubled_hour_is_compared_by_instant() -> None:
    """On the wall clock the end stands before the start; and in another case after it."""
    first = datetime(2026, 10, 25, 0, 50, tzinfo=UTC)  # 02:50+02:00
    for start, end in ((first, first + timedelta(minutes=20)), (first + timedelta(minutes=20), first)):
        n = notification(Notice.SLHJ, start=start, end=end, assembled=end + timedelta(hours=2))
        chain = (*n.chain[:-1], replace(n.chain[-1], occurred=end + timedelta(hours=2)))
        same(replace(n, chain=chain))
        assert bool(compose(replace(n, chain=chain), MUNICIPALITY, envelope_id(n), JSON)[1]) == (start > end)


def test_other_texts_do_not_make_another_shape() -> None:
    def shape(n: Notification) -> stencil.Shape:
        return stencil.shape_of(n, MUNICIPALITY, stencil.roles_of(n, MUNICIPALITY))

    n = notification(Notice.SLHJ)
    other = replace(n, patient=Patient(cpr="0101010000", family="Ø", given=("Å", "B")), start=n.start - timedelta(1))
    assert shape(other) == shape(n) != shape(notification(Notice.SLHJ, deceased=True))


STAA = notification(Notice.STAA)
SENT = STAA.chain[-1].occurred
#: One text that is wrong, all else right: name of the rule -> the notification.
WRONG = {
    "sent before it was assembled": replace(STAA, assembled=SENT + timedelta(seconds=1)),
    "sent before the stay began": replace(STAA, start=SENT + timedelta(seconds=1)),
    "the check digit of a GLN": replace(STAA, sender=replace(HEART, gln=Gln("5790000209355"))),
    "a SOR code of ten digits": replace(STAA, provider=replace(SURGERY, sor=Sor("3998410000"))),
    "a name of nothing": replace(STAA, provider=replace(SURGERY, name=" ")),
    "a surname of nothing": replace(STAA, patient=replace(STAA.patient, family=" ")),
    "no CPR number": replace(STAA, patient=replace(STAA.patient, cpr="3113479989")),
    "an id that is none": replace(STAA, chain=(replace(STAA.chain[0], provenance_id="x"),)),
    "an id twice": replace(STAA, chain=(replace(STAA.chain[0], provenance_id=STAA.message_id),)),
}


@FORMS
@pytest.mark.parametrize("wrong", WRONG)
def test_one_wrong_text_is_found(wrong: str, form: Representation) -> None:
    same(WRONG[wrong], form=form)
    assert compose(WRONG[wrong], MUNICIPALITY, envelope_id(STAA), form)[1]
