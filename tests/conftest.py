"""For all tests: what they start is told to end by SIGINT as if at a terminal."""

import signal

# A shell without job control starts what is in the background with SIGINT ignored, and the children of the
# tests would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
