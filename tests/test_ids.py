"""What every id we mint is, whatever it stands for (00 §1; spec 01, 6.1 and 14.3; spec 04 §8.3)."""

import hmac
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from streams.words.ids import EpisodeId, Ids, ids_beside, minted_lane

IDS = Ids(b"a secret for the tests only")
words = st.text(min_size=1, max_size=40)


@given(words, words, st.integers(0, 9))
def test_the_episode_of_a_visit_number_is_a_uuid_of_version_4(feed: str, visit: str, chain: int) -> None:
    episode = IDS.episode(feed, visit, chain)
    assert str(UUID(episode)) == episode
    assert UUID(episode).version == 4


def hmac_of(*parts: str) -> bytes:
    return hmac.digest(IDS.secret, "\0".join(parts).encode(), "sha256")


@given(words, words, st.integers(1, 9))
def test_the_episode_of_a_chain_is_an_hmac_over_feed_visit_and_number_of_the_chain(
    feed: str, visit: str, chain: int
) -> None:
    front = bytearray(hmac_of(feed, visit, str(chain))[:16])
    front[6], front[8] = front[6] & 0x0F | 0x40, front[8] & 0x3F | 0x80
    assert IDS.episode(feed, visit, chain) == str(UUID(bytes=bytes(front)))


@given(words)
def test_the_lane_of_a_stay_is_the_front_of_an_hmac_over_its_local_id(episode: str) -> None:
    assert IDS.lane(EpisodeId(episode)) == hmac_of(episode).hex()[:8]


@given(st.binary(min_size=16, max_size=200))
def test_a_secret_of_any_length_is_a_key_as_rfc_2104_has_it(secret: bytes) -> None:
    lane = hmac.digest(secret, b"an episode", "sha256").hex()[:8]
    assert Ids(secret).lane(EpisodeId("an episode")) == lane


def test_ids_beside_a_message_differ_from_it_and_from_each_other() -> None:
    message = IDS.mint(IDS.lane(EpisodeId("an episode")), "message")
    beside = ids_beside(message, range(1, 300))
    assert len({message, *beside}) == 300
    assert {(UUID(one).version, one[:32]) for one in beside} == {(4, message[:32])}


@given(words, st.lists(words, max_size=3))
def test_an_id_that_leaves_the_building_is_a_uuid_of_version_4_that_begins_with_its_lane(
    episode: str, parts: list[str]
) -> None:
    lane = IDS.lane(EpisodeId(episode))
    minted = IDS.mint(lane, *parts)
    assert str(UUID(minted)) == minted
    assert UUID(minted).version == 4
    assert minted_lane(minted) == lane


def test_a_visit_number_that_is_a_uuid_of_version_4_is_the_episode_of_its_first_chain_only() -> None:
    own = "7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f"
    assert IDS.episode("EPJ-SYD/OUH", own.upper()) == own
    assert IDS.episode("EPJ-SYD/OUH", own, 1) != own
