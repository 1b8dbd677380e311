// SPDX-License-Identifier: Apache-2.0
#include "host/block/permissions.hpp"

namespace outport::block {

std::string to_string(Perm perm) {
    std::string text;
    for (unsigned i = 0; i < kPermNames.size(); ++i)
        if (perm & 1u << i) {
            if (!text.empty())
                text += ", ";
            text += kPermNames[i];
        }
    return text;
}

} // namespace outport::block
