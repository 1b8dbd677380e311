// SPDX-License-Identifier: Apache-2.0
// From the errno of a block request to the error that goes to the kernel. Thread-safe: values only.
#pragma once

namespace outport::fuse {

// `error` and the result are positive. The kernel hands the result to the program as it is.
int fuse_error(int error) noexcept;

} // namespace outport::fuse
