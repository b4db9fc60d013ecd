"""The grammar of DIS20, DIS17 and CTL01-03 once more, by 04 §§11, 12 and 00 §7 alone: it judges what the writer writes.

One pattern a segment, over the bytes as they are; nothing of the product is used.
"""

import re

__all__ = ["faults"]

_MARK = r"(?:[ !-&(-*,-9;->@-~\xa0-\xff]|\?['+:?])"  # one character of a value: what means something is released


def _value(longest: int, least: int = 1) -> str:
    return f"{_MARK}{{{least},{longest}}}"


_ID, _GLN, _NUMBER, _TEXT = _value(14), _value(35), _value(17), _value(35)
_STAMP = r"\d{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d"
_PARTY = rf"{_NUMBER}:(?:SKS:SST|SOR:SST|KOM:IM|YNR:SFU|:9)"
_COMPONENT = rf"{_MARK}{{0,70}}"
_FTX = rf"(?:FTX\+(?:NC|LOK|MID|VER|SYN)\+P00(?:\+\+{_COMPONENT}(?::{_COMPONENT}){{0,4}})?\n)?"
_ENDS = rf"UNT\+(?P<count>\d+)\+(?P<untid>{_ID})\nUNZ\+1\+(?P<unzid>{_ID})\n"


def _head(flag: str) -> str:
    return rf"UNB\+UNOC:3\+{_GLN}:14\+{_GLN}:14\+\d{{6}}:\d{{4}}\+(?P<unbid>{_ID}){flag}\nUNH\+(?P<unhid>{_ID})\+"


def _notice(number: str, statuses: str) -> str:
    return "".join(
        (
            _head(r"\+\+\+\+[01]"),
            rf"MEDDIS:D:93A:UN:D{number}30C\+DIS{number}\n",
            rf"BGM\+EPI\+\+9\+NA\nDTM\+137:(?P<signed>{_STAMP}[0-5]\d):204\nS01\+01\n",
            rf"NAD\+SOR\+{_PARTY}\+\+{_TEXT}:{_value(35, 0)}:{_value(35, 0)}:::US\n",
            rf"(?:CON\+\+{_value(25)}:TE\n)?",
            rf"RFF\+LOC:{_GLN}\n" if number == "20" else rf"(?:RFF\+LOC:{_GLN}\n)?",
            rf"SEQ\+\+1\nSPR\+ORG\+\+DIS{number}:SKS:SST\nS01\+01\n",
            rf"NAD\+ROR\+{_NUMBER}:KOM:IM\+\+{_TEXT}:::::US\nSEQ\+\+2\n",
            rf"S02\+02\nGIS\+N\nRFF\+SRI:(?P<sri>{_ID})\nDTM\+182:(?P<again>{_STAMP}[0-5]\d):204\n",
            r"S07\+07\nPNA\+PAT\+\d{10}:::CPR:IM\n",
            rf"S11\+11\nGIS\+[NMC]\nGIS\+P\nRFF\+REI:{_value(35)}\nSEQ\+\+1\nDTM\+90:{_STAMP}:203\nPAS\+(?:{statuses})\n",
            _ENDS,
        )
    )


def _receipt(number: str, verdict: int) -> str:
    ucm = rf"UCM\+{_ID}\+MEDDIS:D:93A:UN:{_value(7)}\+{verdict}\n"
    reason = "" if number == "03" else _FTX
    return "".join(
        (
            _head(""),
            rf"CONTRL:D:93A:ZZ:C{number}30Q\+CTL{number}\n",
            rf"UCI\+{_ID}\+{_GLN}:14\+{_GLN}:14\+{verdict}\n{reason}(?:{ucm}{reason}){{0,99}}",
            _ENDS,
        )
    )


_MESSAGES = {
    "DIS20": _notice("20", "HS|DA"),
    "DIS17": _notice("17", "DH|DX|MW|MH|UP|DE"),
    "CTL03": _receipt("03", 7),
    "CTL02": _receipt("02", 4),
    "CTL01": _receipt("01", 4),
}


def faults(data: bytes) -> list[str]:
    """What is wrong with an interchange; nothing when it is right."""
    text = data.decode("iso-8859-1")
    if not text.startswith("UNA:+.? '\r\n"):
        return ["UNA"]
    lines = text[11:].split("'\r\n")
    if lines.pop():
        return ["the last segment has no end"]
    body = "\n".join(lines) + "\n"
    for pattern in _MESSAGES.values():
        if found := re.fullmatch(pattern, body):
            got = found.groupdict()
            pairs = (("untid", "unhid"), ("unzid", "unbid"), ("sri", "unhid"), ("again", "signed"))
            wrong = [one for one, other in pairs if got.get(one) is not None and got[one] != got[other]]
            return wrong + ([] if int(got["count"]) == len(lines) - 2 else ["the count in UNT"])
    return ["no message of this grammar"]
