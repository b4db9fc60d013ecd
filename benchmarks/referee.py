"""How long HL7's own validator takes for one of our messages: why it judges in the build and never in the flow."""

import statistics
import time

from tests.conformance.referee import HOSPITAL_NOTIFICATION, CannotBuild, Referees
from tests.published import MISSING, PACKAGES

__all__ = ["referee_time"]


def referee_time(message: bytes, *, judged: int, warm: int) -> float | str:
    """Microseconds of wall time, median of `judged` after `warm`; or why it was not run."""
    if not PACKAGES.is_dir():
        return MISSING
    referees = Referees()
    try:
        spent = []
        for _ in range(warm + judged):
            begun = time.perf_counter()
            verdict = referees.primary.judge(message, profile=HOSPITAL_NOTIFICATION)
            spent.append(time.perf_counter() - begun)
            assert verdict.clean, str(verdict)
        return statistics.median(spent[warm:]) * 1e6
    except CannotBuild as why:
        return f"not run: {str(why).splitlines()[0]}"
    finally:
        referees.close()
