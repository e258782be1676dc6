"""A process that ends with the one that started it, however that one ended."""

import os
import signal
import threading
import time
from collections.abc import Callable

# What a process has for clearing up, once it is told to stop.
GRACE_SECONDS = 3.0
_LOOK_SECONDS = 0.5


def end_with_parent(parent: int, last_resort: Callable[[], None]) -> None:
    """From now on stop this process by SIGTERM when the process `parent` is gone; end it 3 s later if it still runs.

    `last_resort` is called before that end, in another thread than the main one: what the main thread, busy in
    compiled code, did not come to clear up.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        signal.pthread_kill(main_thread, signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        last_resort()
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
