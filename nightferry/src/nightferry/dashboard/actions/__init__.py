"""Actions from pages: one form, one check, one record.

A page describes what it would do as a :class:`Proposal`. ``show_form`` is the response to GET, ``perform`` to POST.
"""

from nightferry.dashboard.actions.perform import perform, show_form
from nightferry.dashboard.actions.proposal import Consent, Done, Proposal
from nightferry.dashboard.actions.rights import ACTIONS, get_rights

__all__ = ["ACTIONS", "Consent", "Done", "Proposal", "get_rights", "perform", "show_form"]
