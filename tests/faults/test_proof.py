"""docs/proof.md is the record laid out, and nothing else."""

from pathlib import Path

from tests.faults import proof

UNDER_LOAD = {
    "fault": "SIGKILL", "rounds": 20, "sent": 900, "lost": 0, "changed": 0, "late_rows": 0, "order": "yes", "repeats": 3,
    "resends": 1, "worst_wait": 4.5, "exits": 20, "reported": ["its | words"], "held": True,
}  # fmt: skip
REFUSED = {"fault": "emptied", "exit": 6, "written": 0, "sentence": "the changelog is empty"}


def test_document_is_that_of_record() -> None:
    assert proof.DOCUMENT.read_text(encoding="utf-8") == proof.document(proof.lines())


def test_experiment_replaces_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "proof.jsonl"
    for name, lost in (("B", 0), ("A", 0), ("B", 7)):
        proof.record(name, UNDER_LOAD | {"lost": lost}, path)
    found = proof.lines(path)
    assert list(found) == ["A", "B"]
    assert found["B"]["lost"] == 7


def test_test_that_failed_leaves_no_older_verdict(tmp_path: Path) -> None:
    path = tmp_path / "proof.jsonl"
    proof.record("E04", UNDER_LOAD | {"test": "test_e04"}, path)
    proof.forget("test_e04", path)
    proof.record("test_e04", {"test": "test_e04", "held": False}, path)
    found = proof.lines(path)
    assert list(found) == ["test_e04"]
    assert "**No verdict**: test_e04" in proof.document(found)
    assert "1 experiments and measurements, 0 held" in proof.closing(found)


def test_every_line_has_its_place_in_document() -> None:
    text = proof.document({"E01": UNDER_LOAD, "Emptied": REFUSED, "Recovery": {"figures": "280,000 rows"}})
    assert "| E01 | SIGKILL | 20 | 900 | 0 | 0 | 0 | yes | 3 | 1 | 4.5 | 20 | yes |" in text
    assert "| E01 | its \\| words |" in text
    assert "| Emptied | emptied | 6 | 0 | the changelog is empty |" in text
    assert "| Recovery | 280,000 rows |" in text


def test_what_did_not_hold_is_listed() -> None:
    found = {"E04": UNDER_LOAD | {"held": False, "lost": 2}}
    assert "| **no** |" in proof.document(found)
    assert proof.closing(found).endswith("1 experiments and measurements, 0 held, 2 messages lost")
