"""The page: what is known about the person, seen and decided in their own browser.

A site of plain forms on 127.0.0.1, made here and without scripts. `entry` says who may come in,
`gate` stands before every request, `looking` gathers what is shown, `deciding` does what forms ask
for, `site` has the routes, and `serving` begins and ends it. Texts of the person stand in the pages
themselves and nowhere else: in no address, no title, no log.
"""
