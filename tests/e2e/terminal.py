#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal: runs a program at a terminal of its own and answers its questions.

    terminal.py ANSWER... -- COMMAND...

A question ends with a colon and a blank. What the screen showed goes to standard output.
"""

import os
import pty
import sys

split = sys.argv.index("--")
answers, command = sys.argv[1:split], sys.argv[split + 1 :]
child, screen = pty.fork()
if child == 0:
    os.execvp(command[0], command)
shown = b""
asked_to = 0
while True:
    try:
        octets = os.read(screen, 4096)
    except OSError:  # the program has closed it
        break
    if not octets:
        break
    shown += octets
    if answers and shown[asked_to:].endswith(b": "):
        asked_to = len(shown)
        os.write(screen, answers.pop(0).encode() + b"\n")
sys.stdout.buffer.write(shown)
status = os.waitpid(child, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) or (3 if answers else 0))
