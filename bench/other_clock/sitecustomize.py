"""Starts a Python process with a clock that is off by FAULTS_CLOCK seconds: for it, and for what it starts.

Python imports a module of this name by itself when its folder is on the path. Only the process that was meant has it
there; its database, its peers and the kernel keep the right time, as on a host whose clock is wrong.
"""

import os
import time

import time_machine

time_machine.travel(time.time() + float(os.environ["FAULTS_CLOCK"]), tick=True).start()
