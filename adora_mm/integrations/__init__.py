"""ADORA inside other trainers: TRL and verl; docs/integrations.md has recipes for more.

`trl.py` and `verl.py` import their host at the top, so each is imported only where that host is
installed. Nothing else in the library imports either host.
"""
