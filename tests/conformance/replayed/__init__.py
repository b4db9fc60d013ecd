"""Stories of patients as ADT messages, with what each message must lead to according to spec 00, 01, 04 and 05."""

from . import cancellations, corners, corrections, courses, documents, moments, people, persons, starts, transfers

__all__ = ["STORIES"]

STORIES = [
    *starts.STORIES,
    *courses.STORIES,
    *corrections.STORIES,
    *cancellations.STORIES,
    *transfers.STORIES,
    *persons.STORIES,
    *moments.STORIES,
    *documents.STORIES,
    *corners.STORIES,
    *people.STORIES,
]
