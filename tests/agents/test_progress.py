"""Dead is a worker that has work and does not get on with it, and no other."""

from datetime import timedelta

from agents.start.watch import Progress

LIMIT = timedelta(minutes=5)


def test_untaken_work_is_death_only_after_limit() -> None:
    progress = Progress(0.0, LIMIT)
    assert [progress.look({"a": (10, 12)}, now) for now in (0.0, 150.0, 299.9)] == ["", "", ""]
    assert progress.look({"a": (10, 15)}, 300.0) == "5 records wait and none was taken for 300 s"


def test_one_partition_that_moves_is_life() -> None:
    progress = Progress(0.0, LIMIT)
    for minute in range(30):
        assert progress.look({"a": (10, 12), "b": (minute, 100)}, 60.0 * minute) == ""


def test_idle_is_alive_and_time_begins_with_work() -> None:
    progress = Progress(0.0, LIMIT)
    assert progress.look({"a": (12, 12)}, 86_400.0) == ""
    assert progress.look({"a": (12, 13)}, 86_401.0) == ""
    assert progress.look({"a": (12, 13)}, 86_700.0) != ""


def test_recovery_has_no_positions_and_begins_time_again() -> None:
    progress = Progress(0.0, LIMIT)
    progress.look({"a": (10, 12)}, 0.0)
    assert progress.look({}, 299.0) == ""
    assert progress.look({"a": (10, 12)}, 500.0) == ""
    assert progress.look({"a": (10, 12)}, 700.0) == ""


def test_dead_worker_that_moves_again_is_alive() -> None:
    progress = Progress(0.0, LIMIT)
    progress.look({"a": (10, 12)}, 0.0)
    assert progress.look({"a": (10, 12)}, 400.0) != ""
    assert progress.look({"a": (11, 12)}, 401.0) == ""
