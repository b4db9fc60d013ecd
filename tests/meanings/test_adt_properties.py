"""Whatever a feed writes into its fields: a message gives events or a reason, and a person's row follows (spec 04 §2)."""

from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from streams.formats.hl7v2 import Document, read
from streams.messages.adt.patient import record_key
from streams.messages.adt.read import events
from streams.messages.adt.triggers import TRIGGERS
from streams.person.fold import ADOPTS, fold
from streams.person.row import PersonRow, Reported, person_key
from streams.words.errors import Rejected
from streams.words.ids import Ids
from tests.meanings.adt import FEED, KOMMUNER, er7, locate

IDS = Ids(b"a secret of the test suite")
AT = datetime(2026, 3, 1, tzinfo=UTC)
REASONS = {"no-person", "two-cprs", "no-visit-id", "no-event-time", "unknown-facility"}

_value = st.one_of(
    st.sampled_from(
        ["", '""', "Y", "N", "I", "E", "O", "02", "30", "0461", "461", "OUH", "C4^^^OUH", "2512489996^^^CPR^CPR",
         "0201609995^^^CPR^CPR", "0101801AB2^^^CPR^CPR", "20260301080700+0100", "202603290230", "20260301", "~", "^^^",
         "&&", "a\\F\\b", "\\X00\\", "\\Z\\"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="|"), max_size=8),
)  # fmt: skip


def _fields(*numbers: int) -> st.SearchStrategy[dict[int, str]]:
    return st.dictionaries(st.sampled_from(numbers), _value, max_size=4)


def _reports(document: Document) -> tuple[Reported, ...]:
    """The events; none when the message is stopped for a reason we know."""
    try:
        return events(document, FEED, locate, KOMMUNER)
    except Rejected as rejected:
        if rejected.rule not in REASONS:
            raise
        return ()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*TRIGGERS, "A60"]),
            _fields(2, 4, 6, 7),
            _fields(2, 3, 4, 5, 11, 12, 29, 30),
            _fields(2, 3, 6, 19, 36, 37, 44, 45, 50),
            st.lists(st.tuples(st.sampled_from(["MRG", "PID", "PV1", "PD1"]), _value), max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
@example([("A01", {}, {}, {}, []), ("A34", {}, {3: ""}, {}, [("MRG", "2512489996^^^CPR^CPR")])])
def test_every_message_gives_events_or_reason(
    messages: list[tuple[str, dict[int, str], dict[int, str], dict[int, str], list[tuple[str, str]]]],
) -> None:
    table: dict[str, PersonRow] = {}
    for number, (trigger, evn, pid, pv1, more) in enumerate(messages):
        lines = tuple(f"{name}|{value}|||{value}" for name, value in more)
        document = read(er7(trigger, control=f"K{number}", evn=evn, pid=pid, pv1=pv1, more=lines))
        key = record_key(document, FEED, IDS)
        reports = _reports(document)
        if not reports:
            continue
        if reports[0].who.local_ids or reports[0].who.cprs:
            assert person_key(reports[0], IDS) == key
        result = fold(table.get(key), reports, key=key, payload_hash=document.sha256, at=AT, ids=IDS)
        table[key] = result.row
        assert bool(result.stay_events) == (result.outcome is None)
        assert len({event.id for event in result.stay_events}) == len(result.stay_events)
        for copy in result.pass_on:
            there = fold(
                table.get(copy.key), reports, key=copy.key, payload_hash=document.sha256, at=AT, ids=IDS, passed_on=True
            )
            table[copy.key] = there.row
            for back in there.pass_on:  # open visits go to the surviving person, once
                adopts = dict(back.headers)[ADOPTS]
                again = fold(
                    table.get(back.key),
                    reports,
                    key=back.key,
                    payload_hash=document.sha256,
                    at=AT,
                    ids=IDS,
                    adopts=adopts,
                )
                assert again.pass_on == ()
                table[back.key] = again.row
