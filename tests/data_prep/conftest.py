"""What the tests of data preparation share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # `source_files` is found in every import mode
