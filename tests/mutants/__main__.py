"""`make mutants`: does a test fail when the product has a small fault?

Draws faults at random (`--seed`), runs for each the fast tests that run the changed line, and, when all of them pass,
every fast test. Prints what survives and ends with 1 when less than 95 in 100 are found. Faults that change nothing
anyone can see stand in `equivalent.toml`, each with its reason, and do not count. docs/decisions/0056 has the choices.
"""

import argparse
import hashlib
import sys
import tempfile
import tomllib
from collections import Counter
from pathlib import Path
from typing import Final

from tests.mutants import trial
from tests.mutants.faults import FOLDERS, Fault, drawn

ROOT: Final = Path(__file__).resolve().parents[2]
EQUIVALENT: Final = Path(__file__).with_name("equivalent.toml")
RESULT: Final = ROOT / "benchmarks" / "results" / "mutants.md"
ENOUGH: Final = 0.95


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--number", type=int, default=80, help="faults to draw (80)")
    parser.add_argument("--seed", type=int, default=11, help="of the draw (11)")
    parser.add_argument("--only", default="", help="only files whose path begins so")
    parser.add_argument("--quick", action="store_true", help="only the tests that run the changed line")
    parser.add_argument("--cover", type=Path, help="keep in this folder what the suites cover, for the next run")
    chosen = parser.parse_args(arguments)
    folders = [folder for folder in FOLDERS if folder.startswith(chosen.only)] or [chosen.only]
    faults = drawn(ROOT, chosen.number, chosen.seed, folders)
    print(f"{len(faults)} faults, seed {chosen.seed}; first the fast suites run once without any", flush=True)
    trial.load_what_others_wrote()
    with tempfile.TemporaryDirectory() as folder:
        covered = _covered(chosen.cover or Path(folder))
        for test in covered.failed:
            print(f"NOT USED: {test} fails without any fault", flush=True)
            covered.seconds.pop(test, None)
        rows = [(fault, _tried(fault, covered, Path(folder) / "result", quick=chosen.quick)) for fault in faults]
    text, share = _report(rows, chosen.seed)
    print(text)
    if not (chosen.only or chosen.quick):
        RESULT.write_text(text)
    return 0 if share >= ENOUGH else 1


def _covered(folder: Path) -> trial.Covered:
    """Measured, or read when the code is still what it was."""
    folder.mkdir(parents=True, exist_ok=True)
    code = hashlib.sha256()
    for top in ("streams", "agents", "tests"):
        for file in sorted((ROOT / top).rglob("*.py")):
            if file.parent != EQUIVALENT.parent:
                code.update(file.read_bytes())
    return trial.cover(folder / f"{code.hexdigest()[:16]}.json")


def _tried(fault: Fault, covered: trial.Covered, result: Path, *, quick: bool) -> trial.Outcome:
    text, seconds = fault.source(ROOT), covered.seconds
    first = covered.by(fault.path, *fault.lines)
    if covered.at_load(fault.path, *fault.lines):
        # Of a table alone nothing is run by any test, and any test may read it.
        first |= covered.by(fault.path, 1, 10_000) or seconds.keys()
    first &= seconds.keys()
    outcome = trial.run(fault, text, trial.ordered(first, seconds), seconds, result) if first else trial.UNSEEN
    if not (outcome.found_by or quick):
        rest = trial.ordered(set(seconds) - first, seconds) if first else []
        outcome = trial.run(fault, text, [*rest, trial.LAST], seconds, result)
    place = f"{fault.kind} {fault.path}:{fault.place[0][0]}"
    before, after = fault.change(ROOT)
    print(f"found    {place}" if outcome.found_by else f"SURVIVES {place}\n  - {before}\n  + {after}", flush=True)
    return outcome


def _report(rows: list[tuple[Fault, trial.Outcome]], seed: int) -> tuple[str, float]:
    reasons = {
        (row["file"], row["before"], row["after"]): row["reason"]
        for row in tomllib.loads(EQUIVALENT.read_text()).get("fault", [])
    }
    survivors = [fault for fault, outcome in rows if not outcome.found_by]
    reason = {fault: reasons.get((fault.path, *fault.change(ROOT)), "") for fault in survivors}
    equivalent = sum(map(bool, reason.values()))
    found = len(rows) - len(survivors)
    share = found / max(1, len(rows) - equivalent)
    kinds = Counter(fault.kind for fault, _ in rows)
    lost = Counter(fault.kind for fault in survivors)
    lines = [
        "# Small faults",
        "",
        f"`make mutants`, seed {seed}: **{found} of {len(rows)} faults found**, {equivalent} of the others change",
        f"nothing that anyone can see, so {share:.1%} of those that do are found.",
        "",
        "| Kind | Faults | Survive |",
        "|---|---:|---:|",
        *(f"| {kind} | {kinds[kind]} | {lost[kind]} |" for kind in kinds),
        "",
        "| Survivor | Before | After | Reason |",
        "|---|---|---|---|",
    ]
    for fault in survivors:
        before, after = (f"`{line}`".replace("|", "\\|") for line in fault.change(ROOT))
        lines.append(
            f"| {fault.path}:{fault.place[0][0]} | {before} | {after} | {reason[fault] or 'a test is missing'} |"
        )
    return "\n".join(lines) + "\n", share


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
