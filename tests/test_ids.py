"""What every id we mint is, whatever it stands for (00 §1; spec 01, 6.1 and 14.3; spec 04 §8.3)."""

import hmac
from itertools import pairwise, product
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.words.ids import (
    EpisodeId,
    Ids,
    Lane,
    gln_digit,
    ids_beside,
    minted_lane,
    same_episode,
    sor_digit,
    uuid4_or_none,
)

IDS = Ids(b"a secret for the tests only")
words = st.text(min_size=1, max_size=40)


@given(words, words, st.integers(0, 9))
def test_episode_of_visit_number_is_uuid_of_version_4(feed: str, visit: str, chain: int) -> None:
    episode = IDS.episode(feed, visit, chain)
    assert str(UUID(episode)) == episode
    assert UUID(episode).version == 4


def hmac_of(*parts: str) -> bytes:
    return hmac.digest(IDS.secret, "\0".join(parts).encode(), "sha256")


@given(words, words, st.integers(1, 9))
def test_episode_is_hmac_over_feed_visit_and_chain(feed: str, visit: str, chain: int) -> None:
    front = bytearray(hmac_of(feed, visit, str(chain))[:16])
    front[6], front[8] = front[6] & 0x0F | 0x40, front[8] & 0x3F | 0x80
    assert IDS.episode(feed, visit, chain) == str(UUID(bytes=bytes(front)))


@given(words)
def test_lane_is_front_of_hmac_over_local_id(episode: str) -> None:
    assert IDS.lane(EpisodeId(episode)) == hmac_of(episode).hex()[:8]


@given(st.binary(min_size=16, max_size=200))
def test_secret_of_any_length_is_rfc_2104_key(secret: bytes) -> None:
    lane = hmac.digest(secret, b"an episode", "sha256").hex()[:8]
    assert Ids(secret).lane(EpisodeId("an episode")) == lane


def test_ids_beside_message_all_differ() -> None:
    message = IDS.mint(IDS.lane(EpisodeId("an episode")), "message")
    beside = ids_beside(message, range(1, 300))
    assert len({message, *beside}) == 300
    assert {(UUID(one).version, one[:32]) for one in beside} == {(4, message[:32])}


@given(words, st.lists(words, max_size=3))
def test_outgoing_id_is_uuid4_beginning_with_lane(episode: str, parts: list[str]) -> None:
    lane = IDS.lane(EpisodeId(episode))
    minted = IDS.mint(lane, *parts)
    assert str(UUID(minted)) == minted
    assert UUID(minted).version == 4
    assert minted_lane(minted) == lane


def test_uuid4_visit_number_is_first_episode_only() -> None:
    own = "7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f"
    assert IDS.episode("EPJ-SYD/OUH", own.upper()) == own
    assert IDS.episode("EPJ-SYD/OUH", own, 1) != own


@given(st.integers(0, 0xFFFF_FFFF), st.text(max_size=20), st.lists(words, max_size=3))
def test_letter_id_is_two_letters_lane_and_hash(lane: int, sender: str, parts: list[str]) -> None:
    digits = Lane(f"{lane:08x}")
    letter = IDS.letter(digits, sender, *parts)
    hashed = int(hmac_of("letter", digits, *parts).hex()[:12], 16) % 36**5
    assert (len(letter), int(letter[2:9], 36), int(letter[9:], 36)) == (14, lane, hashed)
    assert letter[:2].isalpha()
    assert letter == letter.upper()
    assert minted_lane(letter) == digits


def test_letters_of_letter_id_are_first_two_of_sender() -> None:
    lane = Lane("00000000")
    fronts = [IDS.letter(lane, sender)[:2] for sender in ("Odense", "9 ø a-b c", "z", "4711")]
    assert fronts == ["OD", "AB", "ZX", "XX"]


NOT_MINTED = [
    "",
    "AB0000000000A",
    "AB0000000000A11",
    "ABZZZZZZZ00000",
    "AB1Z141Z400000",
    "AB 00000000000",
    "ABÅ0000000000A",
    "ab0000000000a1",
    "1B0000000000A1",
    "AB0000000000a1",
    "AB0000000000A\n",
]


def test_what_cannot_be_id_of_ours_has_no_lane() -> None:
    assert [minted_lane(text) for text in NOT_MINTED] == [None] * len(NOT_MINTED)
    assert minted_lane("AB1Z141Z300000") == "ffffffff"
    assert minted_lane("urn:uuid:0123ABCD-0000-4000-8000-000000000000") == "0123abcd"
    assert minted_lane("g123abcd-0000-4000-8000-000000000000") is None
    assert minted_lane("0123abcd-0000-4000-8000-00000000000") is None


def test_masked_word_is_front_of_hmac() -> None:
    assert IDS.masked("a word") == hmac_of("masked", "a word").hex()[:16]
    assert IDS.person("a", "b") == hmac_of("person", "a", "b").hex()[:16]
    assert IDS.event("feed", "K1", "0") == hmac_of("event", "feed", "K1", "0").hex()[:32]


def test_lane_of_foreign_message_is_that_of_its_uuid_in_any_spelling() -> None:
    id_ = "1a45224e-e361-1d6e-a146-b85b86713fa8"
    lane = hmac_of("message", id_).hex()[:8]
    assert IDS.lane_of_foreign(id_) == IDS.lane_of_foreign(f" urn:uuid:{id_.upper()}") == lane
    assert IDS.lane_of_foreign("message-1") is None


OWN = "7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f"


def test_only_uuid_of_version_4_and_right_variant_is_one() -> None:
    spellings = (OWN, OWN.upper(), OWN.replace("-", ""), f"urn:uuid:{OWN}", f" {OWN} ")
    assert {uuid4_or_none(text) for text in spellings} == {OWN}
    others = (
        OWN.replace("-4b", "-1b"),
        OWN.replace("-9d", "-cd"),
        OWN.replace("-9d", "-7d"),
        OWN[:-1],
        OWN.replace("7b", "7x"),
    )
    assert [uuid4_or_none(text) for text in others] == [None] * 5
    assert [uuid4_or_none(OWN.replace("-9d", f"-{digit}d")) is None for digit in "89ab"] == [False] * 4


def test_episode_is_same_in_any_spelling() -> None:
    assert same_episode(OWN, f"urn:uuid:{OWN.upper()}")
    assert not same_episode(OWN, OWN[:-1] + "0")


@given(st.uuids())
def test_lane_of_foreign_id_is_hmac_of_it(foreign: UUID) -> None:
    lane = hmac_of("message", str(foreign)).hex()[:8]
    for spelling in (str(foreign), f" urn:uuid:{foreign} ", foreign.hex.upper()):
        assert IDS.lane_of_foreign(spelling) == lane
    assert IDS.lane_of_foreign(str(foreign)[1:]) is None


@pytest.mark.parametrize("body", ["2".join(pair) for pair in product(("00", "13", "46", "79", "58"), repeat=2)])
def test_check_digit_of_verhoeff_finds_every_wrong_digit_and_every_swap(body: str) -> None:
    """What his tables were made for: each of their numbers is needed for it."""
    right = sor_digit(body)
    for place, digit in enumerate(body):
        wrong = [body[:place] + other + body[place + 1 :] for other in "0123456789" if other != digit]
        assert right not in {sor_digit(one) for one in wrong}
    for place, (one, other) in enumerate(pairwise(body)):
        if one != other:
            assert sor_digit(body[:place] + other + one + body[place + 2 :]) != right


#: Published examples of the method.
VERHOEFF = {"236": "3", "12345": "1", "142857": "0", "8473643095483728456789": "2"}


def test_check_digits_are_those_of_others() -> None:
    assert {body: sor_digit(body) for body in VERHOEFF} == VERHOEFF
    assert {code: gln_digit(code[:12]) for code in ("5790000209354", "5790001348120", "4006381333931")} == {
        "5790000209354": "4",
        "5790001348120": "0",
        "4006381333931": "1",
    }
