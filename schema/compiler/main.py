#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles a schema file. Each output is asked for by an option; '-' is standard output."""

import argparse
import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)

from outport_schema import blob, document  # noqa: E402
from outport_schema.builder import Builder  # noqa: E402
from outport_schema.parser import Schema  # noqa: E402
from outport_schema.source import SchemaError  # noqa: E402


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="outport-schema", description=__doc__)
    parser.add_argument("schema", help="the schema file")
    parser.add_argument("-I", "--import-dir", action="append", default=[], metavar="DIR",
                        help="where to look for imported files that are not beside the importing one "
                             "(the folder with the host's base.json is always looked through last)")
    parser.add_argument("-D", "--define", action="append", default=[], metavar="CONFIG_X",
                        help="a condition that holds, for --introspect")
    parser.add_argument("--names", metavar="FILE", help="list of unprefixed names that fragments may define")
    parser.add_argument("--no-prefix-check", action="store_true", help="let a fragment define any name")
    parser.add_argument("--unmask", action="store_true", help="types keep their names in --introspect")
    parser.add_argument("--symbol", default="outport_schema_document", metavar="NAME",
                        help="name of the array in --blob-…")
    parser.add_argument("--blob-file", action="append", default=[], metavar="NAME=FILE",
                        help="one more file for --blob-…, under a name of its own")
    parser.add_argument("--namespace", default="outport::qapi", metavar="NS", help="namespace of --cxx-… types")
    parser.add_argument("--c-prefix", default="", metavar="PREFIX", help="put before each name in --c-… types")
    for name, text in OUTPUTS.items():
        parser.add_argument(f"--{name}", metavar="FILE", help=text)
    parser.add_argument("--depfile", metavar="FILE", help="what the outputs depend on, for make and ninja")
    return parser.parse_args(argv)


OUTPUTS = {
    "json": "the document of SCHEMA-FRAGMENT.md, indented",
    "json-compact": "the same on one line, as plugins carry it",
    "introspect": "the answer of query-qmp-schema",
    "manual": "reference manual in Markdown",
    "cxx-header": "C++ types", "cxx-source": "their functions",
    "c-header": "C types", "c-source": "their functions",
    "blob-header": "declaration of the document as a C array", "blob-source": "its definition",
}


def load_names(args):
    path = args.names
    if not path:
        path = next((p for p in (os.path.join(folder, "names.json") for folder in import_dirs(args))
                     if os.path.exists(p)), None)
    if not path:
        return {}
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def read_blob(item):
    name, path = item.split("=", 1)
    with open(path, encoding="utf-8") as stream:
        return name, stream.read()


def import_dirs(args):
    return args.import_dir + [os.path.join(HERE, "..")]


def outputs(args, model):
    """(path, text) of each output that was asked for. Generators are loaded only when they are used."""
    header = os.path.basename(args.cxx_header or "schema-types.hpp")
    c_header = os.path.basename(args.c_header or "schema-types.h")
    blobs = [(args.symbol, document.text(model))] + [read_blob(item) for item in args.blob_file]
    if args.json:
        yield args.json, document.pretty(model)
    if args.json_compact:
        yield args.json_compact, document.text(model)
    if args.introspect:
        from outport_schema import introspect
        yield args.introspect, introspect.text(model, set(args.define), args.unmask)
    if args.manual:
        from outport_schema import manual
        yield args.manual, manual.text(model)
    if args.cxx_header or args.cxx_source:
        from outport_schema import cxx
        yield args.cxx_header, cxx.header(model, args.namespace)
        yield args.cxx_source, cxx.source(model, args.namespace, header)
    if args.c_header or args.c_source:
        from outport_schema import c
        yield args.c_header, c.header(model, args.c_prefix)
        yield args.c_source, c.source(model, args.c_prefix, c_header)
    if args.blob_header:
        yield args.blob_header, blob.header(blobs)
    if args.blob_source:
        yield args.blob_source, blob.source(blobs, os.path.basename(args.blob_header or "schema-document.h"))


def write(path, text):
    if path == "-":
        sys.stdout.write(text)
    elif path:
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


def main(argv):
    args = parse_arguments(argv)
    try:
        schema = Schema(args.schema, import_dirs(args))
        exempt = None if args.no_prefix_check else load_names(args)
        model = Builder(schema, exempt).build()
        made = [(path, text) for path, text in outputs(args, model) if path]
    except SchemaError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in made:
        write(path, text)
    if args.depfile:
        targets = " ".join(path for path, _ in made if path != "-")
        write(args.depfile, f"{targets}: {' '.join(sorted(schema.files()))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
