"""The self-test of a municipality's own subscriber: MedCom's scenarios played into its inbox, its answers judged.

A scenario is a row: what is sent, what must come back, and the rule it stands for (`scenarios`, spec 01 §19 and 02 §6);
some rules are about all answers together (`judge`). What is sent are notifications of our own writer about scripted
stays of test persons (`desk`). What was answered to what, and what may be sent next, is kept in `exchange`. All of it is
pure: time and the seed of all ids are arguments. The topics are in `run_selftest`.

A subscriber is judged by its receipts alone: what it shows to its users cannot be seen from here.
"""

from .desk import Cast, SelftestLetter
from .exchange import Exchange
from .judge import ChecklistLine, results
from .scenarios import SCENARIOS, Part, Scenario, parts

__all__ = ["SCENARIOS", "Cast", "ChecklistLine", "Exchange", "Part", "Scenario", "SelftestLetter", "parts", "results"]
