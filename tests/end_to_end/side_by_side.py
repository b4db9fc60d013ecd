"""Hospitals that send ADT, letters and FHIR side by side: stays of the simulator, told in the way of their home.

Aalborg sends DIS20 and DIS17, Zealand HospitalNotifications, the others ADT. A stay that goes on at a hospital of another
feed is told by ADT alone, as is one whose person gets another number.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from streams.formats.fhir.read import from_json
from streams.kafka.topics import ADT_RAW, LETTERS_RAW
from streams.messages.hospitalnotification.read import notified
from streams.messages.legacy.compose import LegacyTerms, SentLetter, compose, sent_letter
from streams.messages.legacy.document import write
from streams.messages.legacy.letter import Letter
from streams.registry import Registers
from streams.relay.replay import Replay
from streams.sim.hospital import Script
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.ids import Kommunekode
from tests.brokers import at_least, producing, put, records
from tests.end_to_end.scene import Scene

__all__ = ["Told", "send_names", "send_told", "told"]

LETTERS, FHIR = b"EPJ-NORD|AAUH", b"EPJ-SJ|SUH"


class Told(NamedTuple):
    """What is sent otherwise than by ADT: when, about whom, and the bytes."""

    at: datetime
    cpr: str
    value: bytes


def told(scripts: Sequence[Script], registers: Registers) -> tuple[list[Script], list[Told]]:
    """The stays that are told by ADT, and all that is sent about the others, in order."""
    by_adt, others = [], list[Told]()
    for number, script in enumerate(scripts):
        homes = {sending.data.split(b"\r")[0][9:].partition(b"|STAFET")[0] for sending in script.sendings}
        one_number = all(step.identity == "cpr" for step in script.story.steps)
        if homes == {LETTERS} and one_number:
            others += _letters(script, registers, number)
        elif homes == {FHIR} and one_number:
            others += [Told(at, script.person.cpr, value) for at, value in _notices(script, registers)]
        else:
            by_adt.append(script)
    return by_adt, sorted(others, key=lambda one: one.at)


def _notices(script: Script, registers: Registers) -> Iterable[tuple[datetime, bytes]]:
    hospital = Replay(registers, secret=b"a hospital has secrets of its own")
    for sending in script.sendings:
        yield from ((sending.at, line.payload) for line in hospital.play(sending.data) if line.message_id)


def _letters(script: Script, registers: Registers, number: int) -> Iterable[Told]:
    code, before = Kommunekode(script.person.kommunekode), dict[str, list[SentLetter]]()
    for step, (at, payload) in enumerate(_notices(script, registers)):
        address = registers.address(code, HOSPITAL_NOTIFICATION, at)
        assert address is not None
        terms = LegacyTerms(gln=address.gln, kommunekode=code, name=address.unit_name)
        notice, mark = notified(from_json(payload), code), f"XX{number:08d}{step:04d}"
        chain = before.setdefault(notice.chain[0].message_id, [])
        letter = compose(notice, chain, terms, letter_id=mark, envelope_id=mark, at=at)
        if isinstance(letter, Letter):
            chain.append(sent_letter(letter, notice))
            yield Told(at, script.person.cpr, write(letter, "edifact"))


async def send_names(scene: Scene, others: Sequence[Told]) -> None:
    """An A31 for each person of whom letters are sent, which have no names; done when the relay knows them."""
    known, values = len(await records(scene.bootstrap, "ledger")), []
    for cpr in dict.fromkeys(one.cpr for one in others):
        at = min(one.at for one in others).strftime("%Y%m%d%H%M%S%z")
        lines = (
            f"MSH|^~\\&|EPJ-NORD|AAUH|STAFET|MEDCOM|{at}||ADT^A31|name-{cpr}|P|2.5.1||||||UNICODE UTF-8",
            f"EVN||{at}",
            f"PID|1||{cpr}^^^&1.2.208.176.1.2&ISO^NNDNK||Elmer^Bruno Test",
        )
        values.append((scene.ids.person(cpr).encode(), "\r".join(lines).encode()))
    await put(scene.bootstrap, ADT_RAW, values)
    await at_least(scene.bootstrap, "ledger", known + len(values), 120)


async def send_told(scene: Scene, others: Sequence[Told], rate: float) -> None:
    """Under their persons' keys, in order, so many a second."""
    async with producing(scene.bootstrap) as producer:
        for one in others:
            await producer.send_and_wait(LETTERS_RAW, one.value, key=scene.ids.person(one.cpr).encode())
            await asyncio.sleep(1 / rate)
