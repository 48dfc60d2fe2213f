"""Servers through which other programs on this machine reach a Pocket.

`mcp` speaks the Model Context Protocol over a pipe, `openai` an OpenAI-compatible HTTP interface,
and `web` is the preferences page; `listener` and `auth_middleware` are shared.
"""
