"""What every id we mint is, whatever it stands for (00 §1; spec 01, 6.1 and 14.3; spec 04 §8.3)."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from streams.ids import EpisodeId, Ids, lane_of_id

IDS = Ids(b"a secret for the tests only")
words = st.text(min_size=1, max_size=40)


@given(words, words, st.integers(0, 9))
def test_the_episode_of_a_visit_number_is_a_uuid_of_version_4(feed: str, visit: str, chain: int) -> None:
    episode = IDS.episode(feed, visit, chain)
    assert str(UUID(episode)) == episode
    assert UUID(episode).version == 4


@given(words, st.lists(words, max_size=3))
def test_an_id_that_leaves_the_building_is_a_uuid_of_version_4_that_begins_with_its_lane(
    episode: str, parts: list[str]
) -> None:
    lane = IDS.lane(EpisodeId(episode))
    minted = IDS.mint(lane, *parts)
    assert str(UUID(minted)) == minted
    assert UUID(minted).version == 4
    assert lane_of_id(minted) == lane


def test_a_visit_number_that_is_a_uuid_of_version_4_is_the_episode_of_its_first_chain_only() -> None:
    own = "7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f"
    assert IDS.episode("EPJ-SYD/OUH", own.upper()) == own
    assert IDS.episode("EPJ-SYD/OUH", own, 1) != own
