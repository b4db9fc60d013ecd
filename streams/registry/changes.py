"""Two versions of a register set, compared in words: what a municipality, a hospital or a rule has now and had before.

For the person who has to approve a change before it is taken into use. Rows belong together by what they are about; one
that begins on the same day is the same row, and what differs in it is named. The order and the comments of the files mean
nothing here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from streams.words.times import COPENHAGEN

from .rows import VALIDITY, RegisterRow
from .tables import Placed, Policy, Tables


class RegisterChange(NamedTuple):
    """One difference: the file, what it is about, and what has changed."""

    file: str
    about: str
    change: str


class _Kind(NamedTuple):
    """Rows of one kind: what makes two of them the same thing, and how the thing is called."""

    rows: Callable[[Tables], Iterable[Placed[Any]]]
    keys: tuple[str, ...]
    called: Callable[[Any], str]
    about: Callable[[Any], str] = lambda row: row.kommunekode


_KINDS: Final = (
    _Kind(
        lambda tables: tables.municipalities, ("kommunekode",), lambda row: f"municipality {row.name} in {row.region}"
    ),
    _Kind(
        lambda tables: tables.addresses,
        ("kommunekode", "message_type", "environment"),
        lambda row: f"address GLN {row.gln}, SOR {row.sor} over {row.network} for {row.message_type}",
    ),
    _Kind(
        lambda tables: tables.receivers,
        ("kommunekode", "message_type", "system"),
        lambda row: f"receiver {row.type} {row.system}{f' ({row.product})' if row.product else ''}",
    ),
    _Kind(
        lambda tables: tables.acceptances,
        ("kommunekode", "message_type", "format", "environment"),
        lambda row: f"takes {row.format} {row.version}{f' ({row.mime})' if row.mime else ''} in {row.envelope}",
    ),
    _Kind(
        lambda tables: tables.senders,
        ("message_type", "format", "environment", "product"),
        lambda row: f"takes {row.message_type} {row.format} {row.version} in return",
        lambda row: row.product or "hospitals",
    ),
    _Kind(
        lambda tables: tables.systems,
        ("product", "role", "message_type", "format", "version"),
        lambda row: (
            f"{'' if row.approved == 'yes' else 'not '}approved as {row.role} of {row.message_type} {row.format} {row.version}"
        ),
        lambda row: row.product,
    ),
    _Kind(
        lambda tables: tables.locations,
        ("feed", "facility", "ward"),
        lambda row: f"place {', '.join(part for part in (row.hospital, row.department, row.unit) if part)}",
        lambda row: "/".join(part for part in (row.feed, row.facility, row.ward) if part),
    ),
)


def register_changes(old: Tables, new: Tables) -> tuple[RegisterChange, ...]:
    """What differs, municipality by municipality, then hospitals, products and policy."""
    names = {each.row.kommunekode: each.row.name for each in (*old.municipalities, *new.municipalities)}
    found: list[RegisterChange] = []
    for kind in _KINDS:
        found += _of_kind(kind, old, new, names)
    for code in sorted({*old.not_connected, *new.not_connected}):
        was, now = old.not_connected.get(code), new.not_connected.get(code)
        if was != now:
            text = f"not connected: {now}" if now is not None else f"is to be connected; it was not: {was}"
            found.append(RegisterChange("subscriptions.toml", _named(code, names), text))
    # By municipality, in the order of the kinds; what is about none comes last.
    found.sort(key=lambda one: (not one.about[:4].isdigit(), one.about if one.about[:4].isdigit() else ""))
    found += _of_profiles(old, new)
    found += _of_feeds(old, new)
    found += _of_policy(old.policy, new.policy)
    if old.environment != new.environment:
        text = f"environment is {new.environment}, was {old.environment}"
        found.insert(0, RegisterChange("subscriptions.toml", "the set", text))
    return tuple(found)


def _named(about: str, names: Mapping[Any, str]) -> str:
    return f"{about} {names[about]}" if about in names else about


def _of_kind(kind: _Kind, old: Tables, new: Tables, names: Mapping[Any, str]) -> Iterator[RegisterChange]:
    groups: dict[tuple[str, ...], tuple[list[Placed[Any]], list[Placed[Any]]]] = {}
    for side, tables in enumerate((old, new)):
        for each in kind.rows(tables):
            key = tuple(str(getattr(each.row, name)) for name in kind.keys)
            groups.setdefault(key, ([], []))[side].append(each)
    for was, now in groups.values():
        kept = [each.row for each in was]
        gone = [each for each in was if each.row not in [other.row for other in now]]
        come = [each for each in now if each.row not in kept]
        for each in gone:
            about = _named(kind.about(each.row), names)
            same = next((other for other in come if other.row.begins == each.row.begins), None)
            if same is None:
                text = f"no longer {kind.called(each.row)}{_period(each.row)}"
                yield RegisterChange(each.file, about, text)
                continue
            come.remove(same)
            text = f"{kind.called(each.row)}: {'; '.join(_differing(each.row, same.row))}"
            yield RegisterChange(same.file, about, text)
        for each in come:
            text = f"new: {kind.called(each.row)}{_period(each.row)}"
            yield RegisterChange(each.file, _named(kind.about(each.row), names), text)


def _differing(was: RegisterRow, now: RegisterRow) -> Iterator[str]:
    if was.valid_to != now.valid_to:
        before = f" (was {_day(was.valid_to)})" if was.valid_to is not None else ""
        yield f"ends on {_day(now.valid_to)}{before}" if now.valid_to is not None else f"no longer ends{before}"
    for name in was.__struct_fields__:
        old, new = getattr(was, name), getattr(now, name)
        if name not in VALIDITY and old != new:
            yield f"{name} is {_text(new)}, was {_text(old)}"


def _of_profiles(old: Tables, new: Tables) -> Iterator[RegisterChange]:
    was, now = old.likes, new.likes
    for key in sorted({*was, *now}):
        if was.get(key) != now.get(key):
            text = f"version {key[1]} is {f'written as {now[key]}' if key in now else 'no longer known'}"
            yield RegisterChange("profiles.csv", key[0], text)


def _of_feeds(old: Tables, new: Tables) -> Iterator[RegisterChange]:
    was, now = ({each.row.key: each for each in tables.feeds} for tables in (old, new))
    for key in sorted({*was, *now}):
        if key not in now:
            yield RegisterChange(was[key].file, key, "no longer a feed")
        elif key not in was:
            yield RegisterChange(now[key].file, key, "new: a feed")
        else:
            before, after = (msgspec.structs.asdict(each[key].row) for each in (was, now))
            for name in before:
                if before[name] != after[name]:
                    text = f"{name} is {_text(after[name])}, was {_text(before[name])}"
                    yield RegisterChange(now[key].file, key, text)


def _of_policy(old: Policy, new: Policy) -> Iterator[RegisterChange]:
    before, after = (
        {("policy.toml", "[receipts]"): policy.receipts, ("policy.toml", "[stay]"): msgspec.structs.asdict(policy.stay)}
        | {("policy.toml", "[registers]"): {"sor_check": "strict" if policy.sor_strict else "warn"}}
        | {("subscriptions.toml", f"[policy{_place(*key)}]"): rows for key, rows in policy.overrides.items()}
        for policy in (old, new)
    )
    for place in sorted({*before, *after}):
        was, now = before.get(place, {}), after.get(place, {})
        for name in sorted({*was, *now}):
            if was.get(name) != now.get(name):
                text = f"{name} is {_text(now.get(name))}, was {_text(was.get(name))}"
                yield RegisterChange(*place, text)


def _place(code: str, form: str) -> str:
    return (f'."{code}"' if code else "") + (f".{form}" if form else "")


def _period(row: RegisterRow) -> str:
    begin = f" from {_day(row.valid_from)}" if row.valid_from is not None else ""
    return f"{begin} until {_day(row.valid_to)}" if row.valid_to is not None else begin


def _day(at: datetime | None) -> str:
    return f"{at.astimezone(COPENHAGEN):%Y-%m-%d}" if at is not None else "never"


def _text(value: object) -> str:
    if value is None or value in ("", (), frozenset()):
        return "not set"
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value))
    return str(value)
