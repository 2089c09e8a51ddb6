"""What all tests need."""

import signal

# under nohup or in the background of a script SIGINT is ignored, and child processes inherit that;
# the tests that interrupt a child would then wait for ever
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
