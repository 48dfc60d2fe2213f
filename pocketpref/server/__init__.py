"""What other programs on this machine reach a Pocket through.

`tools` says what may be asked, whatever the protocol; `mcp` speaks the Model Context Protocol over
a pipe; `wiring` enters us into the settings of programs that speak it.
"""
