# SPDX-License-Identifier: Apache-2.0
"""The checks of defaults: {TYPE.MEMBER, for an export's options EXPORT-TYPE.MEMBER: a method of test_defaults.Defaults}."""

CHECKS = {}


def default(*names):
    """Registers a check of these members."""
    def register(function):
        CHECKS.update(dict.fromkeys(names, function))
        return function
    return register
