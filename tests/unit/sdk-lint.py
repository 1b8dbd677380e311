#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the SDK's headers to the vocabulary and the rules that outport/abi.h states.

usage: sdk-lint.py INCLUDE_FOLDER        lint the headers
       sdk-lint.py --self-test           show that each rule finds what it is for
"""

import re
import sys
from pathlib import Path

THREADS = {"main", "loop", "pool", "any"}
STATES = {"init", "created", "starting", "running", "draining", "any-state"}
BLOCKING = {"nonblocking", "may-block"}
MAY_BLOCK = {"init", "fini"}  # besides what runs on [pool]

# A comment, and a function pointer that follows it with nothing between.
MEMBER = re.compile(
    r"/\*(?P<comment>(?:(?!\*/).)*)\*/\s*"
    r"(?P<decl>(?:typedef\s+)?(?P<ret>[\w\s]+?[\s*]+)\(\*(?P<name>\w+)\)\s*\((?P<args>[^;]*?)\)\s*(?P<tail>\w*);)", re.S)
ANY_MEMBER = re.compile(r"\(\*(\w+)\)\s*\(")
STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\};", re.S | re.M)
FORBIDDEN = re.compile(r"\b(enum|bool|size_t|ssize_t|long|short|int|time_t|off_t|unsigned)\b")
BITFIELD = re.compile(r"\b\w+\s*:\s*\d+\s*;")
# Structs of a fixed layout, whose sizes are pinned for the revision of their extension.
FIXED = {"outport_iovec", "outport_range_change", "outport_extent", "outport_note", "outport_block_request", "outport_loop_op",
         "outport_uring_completion", "outport_blocking_job"}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def squeeze(comment):
    return re.sub(r"\s*\n\s*\*?\s*", " ", comment)


def check_member(match, says_following):
    """What is wrong with one function pointer and its comment."""
    comment, name = squeeze(match["comment"]), match["name"]
    tags = re.findall(r"\[([a-z-]+)\]", comment)
    threads, states = [t for t in tags if t in THREADS], [t for t in tags if t in STATES]
    blocking = [t for t in tags if t in BLOCKING]
    unknown = [t for t in tags if t not in THREADS | STATES | BLOCKING]
    if unknown:
        yield f"unknown tag [{unknown[0]}]"
    if len(threads) != 1:
        yield f"{len(threads)} thread tags, not 1"
    if not states:
        yield "no state tag"
    if len(blocking) != 1:
        yield f"{len(blocking)} blocking tags, not 1"
    if blocking == ["may-block"] and threads != ["pool"] and name not in MAY_BLOCK:
        yield "[may-block] outside [pool], init and fini"
    if "Repeat:" not in comment:
        yield "no 'Repeat:'"
    if threads == ["any"] and "Concurrent:" not in comment and not says_following:
        yield "[any] without 'Concurrent:'"
    if ("*" in match["args"] or "*" in match["ret"]) and "Owner:" not in comment:
        yield "pointers without 'Owner:'"
    yield from check_result(match, comment)
    if match["tail"] != "OUTPORT_NOEXCEPT":
        yield "no OUTPORT_NOEXCEPT"


def check_result(match, comment):
    if match["ret"].split() != ["int32_t"]:
        return
    is_status = "outport_error" in match["args"] or "OUTPORT_" in comment
    is_flag = re.search(r"\b0 or 1\b|\b1 (on|when)\b", comment)
    if is_status and "Errors:" not in comment:
        yield "a status without 'Errors:'"
    if not is_status and not is_flag:
        yield "an int32_t that is neither a status nor said to be 0 or 1"


def check_structs(text):
    for match in STRUCT.finditer(text):
        name, body = match[1], without_comments(match[2])
        first = body.strip().split(";")[0]
        if name not in FIXED and first != "uint32_t struct_size":
            yield f"struct {name}: does not begin with struct_size"
        if f"sizeof(struct {name}) ==" not in text:
            yield f"struct {name}: its size is not pinned"
        if BITFIELD.search(body):
            yield f"struct {name}: a bitfield"
        if re.search(r"^\s*(const )?struct \w+ \w+(\[\d+\])?;", body, re.M):
            yield f"struct {name}: a struct by value"


def lint(text):
    """All complaints about one header."""
    bare = without_comments(text)
    code = "\n".join(line for line in bare.splitlines() if not line.lstrip().startswith("#"))
    word = FORBIDDEN.search(code)
    if word:
        yield f"the type '{word[0]}'"
    yield from check_structs(text)
    seen, follows = set(), False
    for match in MEMBER.finditer(text):
        seen.add(match["name"])
        follows = follows or "also the functions that follow" in squeeze(match["comment"])
        for complaint in check_member(match, follows):
            yield f"{match['name']}: {complaint}"
    for name in ANY_MEMBER.findall(code):
        if name not in seen:
            yield f"{name}: no comment of its own"


GOOD = """
struct outport_x {
    uint32_t struct_size;
    uint32_t reserved;
    /* [main] [running] [nonblocking] Repeat: any. Owner: borrowed. Errors: OUTPORT_BUSY. */
    int32_t (*call)(void* data) OUTPORT_NOEXCEPT;
};
OUTPORT_STATIC_ASSERT(sizeof(struct outport_x) == 16, "append only");
"""
BROKEN = [("[main] ", ""), ("[main]", "[main] [any]"), ("[running] ", ""), ("[nonblocking] ", ""),
          ("[nonblocking]", "[may-block]"), ("Repeat: any. ", ""), ("Owner: borrowed. ", ""),
          ("Errors: OUTPORT_BUSY.", "OUTPORT_BUSY."), ("[running]", "[flying]"), (" OUTPORT_NOEXCEPT", ""),
          ("[main]", "[any]"), ("uint32_t struct_size;\n", ""), ("uint32_t reserved", "bool reserved"),
          ("uint32_t reserved;", "uint32_t reserved : 3;"), ("sizeof(struct outport_x) == 16", "1"),
          ("uint32_t reserved;", "struct outport_y y;"), ("/* [main]", "/* x */ int x; /* [main]"),
          ("Owner: borrowed. Errors: OUTPORT_BUSY.", "Owner: borrowed.")]


def self_test():
    complaints = list(lint(GOOD))
    failed = [f"a good header is refused: {c}" for c in complaints]
    for old, new in BROKEN:
        if not list(lint(GOOD.replace(old, new, 1))):
            failed.append(f"not found: {old!r} -> {new!r}")
    print("\n".join(failed) or f"{len(BROKEN)} broken headers, each found")
    return 1 if failed else 0


def main():
    if sys.argv[1] == "--self-test":
        return self_test()
    include, members, wrong = Path(sys.argv[1]), 0, 0
    for header in sorted(include.glob("outport/**/*.h")):
        text = header.read_text(encoding="utf-8")
        members += len(ANY_MEMBER.findall(without_comments(text)))
        for complaint in lint(text):
            wrong += 1
            print(f"{header.relative_to(include)}: {complaint}")
    print(f"{members} function pointers, {wrong} complaints")
    return 1 if wrong or members < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
