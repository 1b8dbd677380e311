#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fuzzers' seeds, a folder for each harness, beside the stamp file.

usage: seeds.py STAMP SOURCE_ROOT
"""

import hashlib
import shutil
import sys
from pathlib import Path

import seeds_binary
import seeds_fuse
import seeds_json


def main():
    stamp, root = Path(sys.argv[1]), Path(sys.argv[2])
    folder = stamp.parent / "seeds"
    shutil.rmtree(folder, ignore_errors=True)
    for name, seeds in {**seeds_json.harnesses(root), **seeds_binary.harnesses(),
                        **seeds_fuse.harnesses()}.items():
        (folder / name).mkdir(parents=True)
        for seed in seeds:
            (folder / name / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    stamp.touch()


if __name__ == "__main__":
    main()
