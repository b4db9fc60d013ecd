"""The quick test of our own notifications never says right where the full check finds anything, and is used for most."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.messages.hospitalnotification import check
from streams.messages.hospitalnotification.check import full_check
from streams.messages.hospitalnotification.quick import is_right
from tests.conformance.everywhere import everywhere
from tests.conformance.mutations import damaged
from tests.golden_files import GOLDEN
from tests.meanings.damage import any_damage, changed
from tests.meanings.damage import damaged as with_value
from tests.meanings.test_hospitalnotification_check import REFUSED

GOLDEN_NOTICES: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_bytes()) for path in sorted((GOLDEN / "hospitalnotification").glob("*.json"))
}
NAMES = sorted(GOLDEN_NOTICES)


def _agree(bundle: Any) -> None:
    assert not (is_right(bundle) and full_check(bundle, outgoing=True))


@pytest.mark.parametrize("name", NAMES)
def test_a_right_notice_is_right_by_both_and_only_deaths_are_left_to_the_full_check(name: str) -> None:
    bundle = GOLDEN_NOTICES[name]
    assert not full_check(bundle, outgoing=True)
    assert is_right(bundle) == (not name.startswith(("MORS", "RE_MORS")))


@pytest.mark.parametrize("name", NAMES)
def test_every_damage_that_the_quick_test_passes_is_none_for_the_full_check(name: str) -> None:
    bundle = GOLDEN_NOTICES[name]
    for damage in everywhere(bundle).values():
        _agree(damaged(bundle, damage))


@pytest.mark.parametrize("name", NAMES)
def test_every_value_in_the_place_of_another_is_judged_alike(name: str) -> None:
    """Each leaf of the message holds each of its other texts, and some that are wrong by a hair."""
    bundle = GOLDEN_NOTICES[name]
    places = list(_leaves(bundle))
    values: list[Any] = [*dict.fromkeys(text for _, text in places if isinstance(text, str)), *HAIRS]
    for path, held in places:
        for value in [*values, *_near(held)]:
            copy = _put(bundle, path, value)
            _agree(copy)


HAIRS: list[Any] = [
    *("", " ", "x", "x ", "\x00", "\x85", "\ud800", "2026-03-01", "2026-03-02T10:00:00Z", "2026-13-02T10:00:00+01:00"),
    *(None, True, False, 0, 1.5, [], {}, [{}], "Organization/", "MessageHeader/x", "https://example.org/a b/"),
]


def _near(held: Any) -> list[Any]:
    return (
        [held + "\n", " " + held, held[:-1], held.upper(), held + held, [held]] if isinstance(held, str) else [[held]]
    )


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        return [(path, value)]
    return [leaf for key, child in pairs for leaf in _leaves(child, (*path, key))]


def _put(value: Any, path: tuple[Any, ...], put: Any) -> Any:
    """A copy along the path, the rest shared."""
    if not path:
        return put
    copy = value.copy()
    copy[path[0]] = _put(value[path[0]], path[1:], put)
    return copy


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_receiver_refuses_is_doubtful(case: str) -> None:
    message, place, value, rule, _ = REFUSED[case]
    wrong = with_value(message, place, value)
    assert rule == "xhtml" or not is_right(wrong)


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(NAMES))
def test_random_damage_is_judged_alike(data: st.DataObject, name: str) -> None:
    _agree(data.draw(any_damage(GOLDEN_NOTICES[name])))


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(NAMES))
def test_parts_of_one_message_in_another_place_are_judged_alike(data: st.DataObject, name: str) -> None:
    """Any node is replaced by any other node of the same or another notice, or repeated in its list."""
    bundle, other = GOLDEN_NOTICES[name], GOLDEN_NOTICES[data.draw(st.sampled_from(NAMES))]
    nodes = list(_nodes(bundle))
    path = data.draw(st.sampled_from(nodes))
    part = _at(other, data.draw(st.sampled_from(list(_nodes(other)))))
    holder = _at(bundle, path[:-1])
    if isinstance(holder, list) and data.draw(st.booleans()):
        _agree(_put(bundle, path[:-1], [*holder, part]))
    else:
        _agree(_put(bundle, path, part))


def _nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(node for key, child in pairs for node in _nodes(child, (*path, key)))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("value", [None, [], "", 7, {}, {"resourceType": "Bundle"}, {"entry": []}])
def test_what_is_no_notification_is_doubtful_and_never_raises(value: Any) -> None:
    assert not is_right(value)
    assert check(value, outgoing=True)


def test_entries_in_another_order_are_judged_alike() -> None:
    for bundle in GOLDEN_NOTICES.values():
        for step in range(len(bundle["entry"])):
            _agree(changed(bundle, lambda b, step=step: b["entry"].append(b["entry"].pop(step))))


@pytest.mark.parametrize("of", ["the Bundle", "an entry"])
def test_an_id_that_reads_like_two_entries_is_no_entry(of: str) -> None:
    def merge(bundle: dict[str, Any]) -> None:
        place = 0 if of == "the Bundle" else 1
        gone = bundle["entry"].pop(place)["resource"]
        reference = f" {gone['resourceType']}/{gone['id']}"
        if of == "the Bundle":
            bundle["id"] += reference
        else:
            bundle["entry"][0]["resource"]["id"] += reference
            bundle["entry"][0]["fullUrl"] += reference

    bundle = changed(GOLDEN_NOTICES["STIN-IMP"], merge)
    assert not is_right(bundle)
    assert full_check(bundle, outgoing=True)


LPR3 = {"system": "https://www.esundhed.dk/Registre/Landspatientregisteret"}
OF_VERSION_5 = LPR3 | {"value": "urn:uuid:0b0f1b3c-7a55-5c0e-9d7e-3c1a5d2f4e6a"}
OF_VERSION_4 = LPR3 | {"value": "urn:uuid:0b0f1b3c-7a55-4c0e-9d7e-3c1a5d2f4e6a"}


@pytest.mark.parametrize(
    ("more", "right"),
    [([OF_VERSION_5], True), ([OF_VERSION_4], False), ([OF_VERSION_5, OF_VERSION_5], False), ([LPR3], False)],
    ids=["one LPR3 id", "of another version", "two", "without value"],
)
def test_an_lpr3_id_beside_the_local_one(more: list[dict[str, str]], right: bool) -> None:
    bundle = changed(
        GOLDEN_NOTICES["SLOR-IMP"],
        lambda b: b["entry"][1]["resource"]["episodeOfCare"].extend({"identifier": one} for one in more),
    )
    assert is_right(bundle) == right == (not full_check(bundle, outgoing=True))


@pytest.mark.parametrize(
    ("actors", "right"),
    [(1, True), (2, False), (0, False), ("nobody", False)],
    ids=["one that is here", "two", "an empty list", "one that is not here"],
)
def test_the_unit_that_acted_before_is_an_entry(actors: int | str, right: bool) -> None:
    def add(bundle: dict[str, Any]) -> None:
        last = bundle["entry"][-1]["resource"]
        here = {"who": last["agent"][0]["who"]}
        missing = {"who": {"reference": f"Organization/{actors}"}}
        last["entity"][0]["agent"] = [here] * actors if isinstance(actors, int) else [missing]

    bundle = changed(GOLDEN_NOTICES["SLOR-IMP"], add)
    assert is_right(bundle) == right
    _agree(bundle)
