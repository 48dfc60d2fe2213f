"""The preferences page: the person sees and changes in their own browser what is known about them.

A site of plain forms on 127.0.0.1, without scripts. `session` signs the person in, `middleware`
checks every request, `views` collects what pages show, `actions` executes forms, `app` has the
routes, and `run` starts and ends it. The person's texts appear in the pages themselves and nowhere
else: in no address, title or log.
"""
