"""The preferences page: view and change your preferences in a browser.

A site of plain forms on 127.0.0.1, without scripts. `session` signs the person in, `middleware`
checks every request, `views` collects what pages show, `actions` executes forms, `app` has the
routes, and `run` starts and ends it. The person's texts appear in the pages themselves and nowhere
else: in no address, title or log.
"""
