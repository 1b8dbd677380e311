# SPDX-License-Identifier: Apache-2.0
"""The schema compiler: QAPI schema files in, documents, types and manuals out.

Layers, each of which uses only those before it: source, lexer, docs, parser (text to expressions),
expr (are the expressions well-formed), model and builder (objects, references, rules between
definitions), and the generators, which only read the finished model.
"""
