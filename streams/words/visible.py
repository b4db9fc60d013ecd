"""Text of others as people may see it: nothing in it acts on the terminal or hides other text (00 §8.6).

A name, an id, a header may hold escape sequences that move the cursor, marks that turn the direction of writing round,
a line end that begins a line of its own. Whatever is not printable is shown by its number, in the spelling of JSON: so
a line of JSON stays the same JSON.
"""

__all__ = ["visible"]


def visible(text: str, *, lines: bool = False) -> str:
    """The text with control, format and unassigned characters, marks of direction and odd blanks as `\\uXXXX`.

    `lines`: line ends and tabs are ours and stay.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or (lines and each in "\n\t") else _number(each) for each in text)


def _number(character: str) -> str:
    point = ord(character)
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000  # as JSON writes what lies above: in two halves
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
