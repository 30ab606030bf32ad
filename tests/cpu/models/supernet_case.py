"""A supernet small enough to train in a test: run as a program, it trains into the folder it is given."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from siliform.models.supernet import VitSupernet


def tiny(**changes: Any) -> VitSupernet:
    """One or two layers 16 wide, two epochs on 200 images."""
    given: dict[str, Any] = {
        "depth": (1, 2),
        "width": (8, 16),
        "heads": (1, 2),
        "ffn": (16,),
        "head_width": 8,
        "epochs": 2,
        "batch_images": 50,
        "train_images": 200,
    }
    return VitSupernet(**{**given, **changes})


if __name__ == "__main__":

    def told(what: str, done: int, total: int) -> None:
        print(what, done, total, flush=True)

    tiny().prepare(Path(sys.argv[1]), told)
    print("prepared", flush=True)
