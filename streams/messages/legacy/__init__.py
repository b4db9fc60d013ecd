"""The legacy letters: XDIS20/17 and XCTL in OIOXML, DIS20/17 and CTL in EDIFACT (spec 04 §§9-12)."""
