"""The self-test of somebody else's subscriber: MedCom's scenarios played into its inbox, its answers judged.

A step is a row: what is sent, what must come back, and the rule it stands for (`scenarios`, spec 01 §19 and 02 §6);
some rules are about all answers together (`checks`). What is sent are notifications of our own writer about scripted
stays of test persons (`stays`, `desk`). What was answered to what, and what may be sent next, is kept in `exchange`.
All of it is pure: time and the seed of all ids are arguments. The topics are in `run_selftest`.

A subscriber is judged by its receipts alone: what it shows to its users cannot be seen from here.
"""

from .desk import Cast, Letter
from .exchange import Exchange
from .judge import Result, results
from .scenarios import STEPS, Part, Step, parts

__all__ = ["STEPS", "Cast", "Exchange", "Letter", "Part", "Result", "Step", "parts", "results"]
