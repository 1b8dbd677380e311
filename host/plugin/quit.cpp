// SPDX-License-Identifier: Apache-2.0
// The end of the process, as plugins are told of it.
#include "host/plugin/plugin-host.hpp"

#include "host/plugin/plugin.hpp"

namespace outport::plugin {

namespace {

// Calls when the last plugin has answered.
struct Last {
    std::move_only_function<void()> call;
    ~Last() { call(); }
};

// Lives until its plugin has answered.
struct Asked {
    explicit Asked(std::shared_ptr<Last> l) : last(std::move(l)) {
        done.struct_size = sizeof done;
        done.complete = [](outport_done* d, std::int32_t) noexcept {
            delete loop::owner_of(d, &Asked::done);
        };
        done.error = &error;
    }
    outport_done done{};
    outport_error error;
    std::shared_ptr<Last> last;
};

} // namespace

void PluginHost::quit(std::move_only_function<void()> done) {
    ending_ = true;
    auto last = std::make_shared<Last>(std::move(done));
    for (const auto& plugin : plugins_)
        if (plugin->state == State::Loaded && plugin->status && plugin->status->quit)
            plugin->status->quit(&(new Asked(last))->done);
}

} // namespace outport::plugin
