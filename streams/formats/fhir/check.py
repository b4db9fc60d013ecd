"""A second opinion on FHIR from others: the shape as the public R4B models see it.

Decided by fhir.resources (spec 01, 1.11: for the resource types in use every R4 element exists in R4B). It is a shape
parser, no profile validator (23.21), and costs half a millisecond: for the border and for a sample of what we send,
never for every message. This is the only module that imports it, and only when called.
"""

from streams.words.errors import Issue

from .shapes import JsonObject

__all__ = ["border_check"]


def border_check(bundle: JsonObject) -> list[Issue]:
    """What the R4B models refuse in a Bundle; empty when they take it. No content in the texts."""
    from fhir.resources.R4B.bundle import Bundle  # 250 ms and 30 MB: only where it is asked for
    from pydantic import ValidationError

    try:
        Bundle.model_validate(bundle)
    except ValidationError as error:
        faults = [(each["loc"], each["type"]) for each in error.errors(include_input=False, include_url=False)]
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        faults = [((), type(error).__name__)]
    else:
        return []
    found = []
    for place, kind in faults:
        path = "Bundle"
        for step in place:
            if isinstance(step, int):
                path += f"[{step}]"
            else:
                shown = step if step.isascii() and step.replace("_", "").isalnum() and len(step) <= 40 else "?"
                path += f".{shown}"
        problem = f"refused by the FHIR models: {kind}"
        found.append(Issue(severity="error", path=path, rule="fhir-r4", problem=problem, remedy="send FHIR R4"))
    return found
