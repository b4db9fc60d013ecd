"""The self-test of a municipality's own subscriber: MedCom's scenarios played into its inbox, its answers judged.

A scenario is a row: what is sent, what must come back, and the rule it stands for (spec 01 §19 and 02 §6);
some rules are about all answers together (`judge`). What is sent are notifications of our own writer about scripted
stays of test persons (`desk`). All of it is pure: time and the seed of all ids are arguments. The topics are in `run`.

A subscriber is judged by its receipts alone: what it shows to its users cannot be seen from here.
"""

from .desk import Cast, SelftestLetter
from .judge import SCENARIOS, ChecklistLine, Exchange, Part, Scenario, parts, results

__all__ = ["SCENARIOS", "Cast", "ChecklistLine", "Exchange", "Part", "Scenario", "SelftestLetter", "parts", "results"]
