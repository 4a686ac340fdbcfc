"""Three nodes under faults of every kind: no answer is wrong, and nothing acknowledged is lost.

KVSTORE_CHAOS_SECONDS makes it longer; KVSTORE_SEED chooses the faults.
"""

import os
import time
import unittest

from chaos import ChaosTestCase

SECONDS = int(os.environ.get("KVSTORE_CHAOS_SECONDS", "45"))


class ClusterFaults(ChaosTestCase):
    def test_histories_are_linearizable_and_replicas_agree_after_faults(self):
        seed = int(os.environ.get("KVSTORE_SEED", time.time_ns() % 1_000_000))
        self.storm(SECONDS, seed)


if __name__ == "__main__":
    unittest.main()
