"""YAML to validated settings. Nothing else in komodod reads a YAML document.

From the bottom: `nodes` are values that know their place, `composer` and `document` make them of a file, `substitution`
fills in variables, `models` says what may stand where, `wording` and `validation` tell what does not fit,
`declarations`, `references` and `includes` put the parts together, `loading` does it all and finds everything that is
wrong at once. `request` does the same for a sync that comes over the API. `effective`, `origins`, `rendering` and `schema`
show it to people and editors. Nothing is imported here, so that `location` stays cheap for the command line's clients.
"""

from __future__ import annotations
