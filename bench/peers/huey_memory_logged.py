"""huey's MemoryHuey as in `huey_memory`, with its log in a file: two lines a job, to our four."""

import logging
import tempfile

from bench.peers.huey_memory import run

if __name__ == "__main__":
    with tempfile.NamedTemporaryFile() as log_file:
        logging.basicConfig(
            filename=log_file.name,
            level=logging.INFO,
            format="%(asctime)s %(levelname)s %(name)s %(message)s",
        )
        run()
