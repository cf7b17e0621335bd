"""YAML to validated settings. Nothing else in komodod reads a YAML document.

`document` reads a file into nodes that know their place, `substitution` fills in variables, `models` says what may
stand where, `loading` puts it together and finds everything that is wrong. Nothing is imported here, so that
`location` stays cheap for the client side of the command line.
"""

from __future__ import annotations
