// SPDX-License-Identifier: Apache-2.0
// The nodes that one change has for itself. Main loop only.
#pragma once

#include "host/block/graph.hpp"

#include <vector>

namespace outport::block {

class Graph::Hold {
  public:
    Hold(Graph& graph, std::vector<Node*> nodes);
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold();

    const std::vector<Node*>& nodes() const noexcept { return nodes_; }
    void forget(Node& node) noexcept { std::erase(nodes_, &node); }

  private:
    Graph& graph_;
    std::vector<Node*> nodes_;
};

} // namespace outport::block
