# SPDX-License-Identifier: Apache-2.0
"""What is there never needs what is not: conditions of users imply the conditions of what they use."""

from __future__ import annotations

from typing import List

from .conditions import implies
from .model import (AlternateType, ArrayType, Branch, Condition, EnumType, EnumValue, Member, Model, StructType,
                    UnionType, UserType)
from .source import SchemaError, Where


def check(model: Model) -> None:
    for made in model.types.values():
        if isinstance(made, StructType):
            _need(made.base, [made.cond], made.where, "the base")
            for member in made.own_members:
                _check_member(made, member)
        elif isinstance(made, UnionType):
            _need(made.base, [made.cond], made.where, "the base")
            _check_branches(made, made.branches, [])
        elif isinstance(made, AlternateType):
            for branch in made.alternatives:
                _need(branch.type, [made.cond, branch.cond], branch.where, f"alternative '{branch.name}'")
    for command in model.commands.values():
        _need(command.arg, [command.cond], command.where, "the argument")
        _need(command.ret, [command.cond], command.where, "the result")
    for event in model.events.values():
        _need(event.arg, [event.cond], event.where, "the data")
    for option in model.options.values():
        _need(option.type, [option.cond], option.where, "the value")
    for extension in model.extensions:
        if isinstance(extension.target, UnionType):
            tag = extension.target.tag().type
            added = [v for e in model.extensions if e.target is tag for v in e.values]
            _check_branches(extension.target, extension.branches, added)


def _need(made: object, given: List[Condition], where: Where, what: str) -> None:
    while isinstance(made, ArrayType):
        made = made.element
    if isinstance(made, UserType) and not implies(given, made.cond):
        raise SchemaError(where, f"{what} can be there while type '{made.name}' is not: their conditions don't fit")


def _check_member(made: StructType, member: Member) -> None:
    given = [made.cond, member.cond]
    _need(member.type, given, member.where, f"member '{member.name}'")
    if isinstance(member.type, EnumType) and member.default is not None:
        value = next(v for v in member.type.values if v.name == member.default)
        if not implies(given, value.cond):
            raise SchemaError(member.where, f"default '{member.default}' of member '{member.name}' may not be there: "
                                            "the conditions don't fit")


def _check_branches(made: UnionType, branches: List[Branch], added: List[EnumValue]) -> None:
    enum = made.tag().type
    assert isinstance(enum, EnumType)
    conds = {value.name: value.cond for value in enum.values + added}
    for branch in branches:
        given = [made.cond, branch.cond]
        _need(branch.type, given, branch.where, f"branch '{branch.name}'")
        if not implies(given, conds[branch.name]):
            raise SchemaError(branch.where, f"branch '{branch.name}' can be there while the value of enum "
                                            f"'{enum.name}' is not: their conditions don't fit")
