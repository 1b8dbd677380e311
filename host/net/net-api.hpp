// SPDX-License-Identifier: Apache-2.0
// The table outport.net/1. Not thread-safe: main loop only.
#pragma once

#include <outport/net.h>

namespace outport::net {

class Net;

// One `net` serves every plugin; it must outlive them.
const outport_net_api* net_api(Net& net);

} // namespace outport::net
