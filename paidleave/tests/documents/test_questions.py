"""Each reader finds the answers to frequent questions in two clicks."""

from __future__ import annotations

from collections import Counter

from tests.documents.repository import pages, questions, site_pages


def test_each_of_the_four_readers_has_five_questions() -> None:
    readers = Counter(question.reader for question in questions.QUESTIONS)
    assert readers == {"developer": 5, "reviewer": 5, "on call": 5, "analyst": 5}
    assert len({question.text for question in questions.QUESTIONS}) == 20


def test_each_section_has_its_answer() -> None:
    answers = {
        question: pages.read_section(site_pages()[question.page], question.anchor) for question in questions.QUESTIONS
    }
    assert [question.text for question, section in answers.items() if question.contains not in section] == []


def test_each_answer_is_at_most_two_clicks_away() -> None:
    clicks = pages.count_clicks(site_pages())
    assert [question.text for question in questions.QUESTIONS if clicks[question.page] > 2] == []
