"""Actions from pages: one form, one check, one record.

A page describes what it would do as a :class:`~.proposal.Proposal`. :func:`~.perform.show_form` is the response to GET,
and :func:`~.perform.perform` to POST.
"""
