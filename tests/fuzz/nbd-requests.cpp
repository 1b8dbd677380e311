// SPDX-License-Identifier: Apache-2.0
// The requests of an NBD connection: what is taken as a write's payload must be the stream's bytes at that
// place.
#include "receiver.hpp"
#include "request.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

using namespace outport::nbd;

namespace {

// As a connection does it, but that "carried out" is "compared".
class Stream {
  public:
    Stream(std::span<const std::byte> input, Session session, std::uint32_t alignment)
        : input_(input), session_(session), pool_(alignment), receiver_(pool_) {}
    ~Stream() {
        for (Payload& payload : held_)
            drop(payload);
        if (filling_)
            drop(payload_);
    }

    void run(std::size_t piece) {
        while (!ended_ && received_ < input_.size()) {
            const std::span<std::byte> space = receiver_.space();
            if (space.empty())
                std::abort();
            const std::size_t now = std::min({piece, space.size(), input_.size() - received_});
            std::memcpy(space.data(), input_.data() + received_, now);
            received_ += now;
            receiver_.filled(now);
            turn();
        }
    }

  private:
    void turn() {
        if (filling_ && receiver_.payload_complete())
            written();
        while (!ended_ && !filling_ && receiver_.ready().size() >= kRequestSize)
            request();
    }
    void request() {
        const WireRequest wire = decode_request(receiver_.ready().data());
        receiver_.consume(kRequestSize);
        position_ += kRequestSize;
        const Verdict verdict = validate(wire, session_);
        if (!verdict) {
            if (describe(verdict.fault, wire, session_).empty() || verdict.error == 0)
                std::abort();
            ended_ = verdict.fatal;
            if (!ended_ && wire.has_payload()) {
                receiver_.discard(wire.length);
                position_ += wire.length;
            }
            return;
        }
        if (wire.command() == Command::Disconnect) {
            ended_ = true;
            return;
        }
        if (wire.offset > session_.size || wire.length > session_.size - wire.offset)
            std::abort();
        if (!wire.has_payload() || wire.length == 0)
            return;
        if (!receiver_.take_payload(wire.length, payload_))
            std::abort();
        filling_ = true;
        if (receiver_.payload_complete())
            written();
    }
    void written() {
        filling_ = false;
        for (std::uint32_t i = 0; i < payload_.count; ++i) {
            const outport_iovec& piece = payload_.pieces[i];
            if (piece.length > received_ - position_ ||
                std::memcmp(reinterpret_cast<const void*>(piece.base), input_.data() + position_,
                            piece.length) != 0)
                std::abort();
            position_ += piece.length;
        }
        held_.push_back(payload_); // some writes are in flight at a time
        if (held_.size() > 2) {
            drop(held_.front());
            held_.erase(held_.begin());
        }
    }
    void drop(Payload& payload) {
        for (std::uint32_t i = 0; i < payload.count; ++i)
            pool_.drop(payload.buffers[i]);
    }

    std::span<const std::byte> input_;
    Session session_;
    BufferPool pool_;
    Receiver receiver_;
    std::vector<Payload> held_;
    Payload payload_;
    std::size_t received_ = 0, position_ = 0; // of the stream: what came, what was used
    bool filling_ = false, ended_ = false;
};

} // namespace

// The first four bytes: how the stream is cut, and the session.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 4)
        return 0;
    const std::size_t piece = 1 + data[0] * std::size_t(data[1]);
    Session session;
    session.size = std::uint64_t(1) << (data[2] % 64);
    session.flags = data[3] & 1 ? kReadOnly : 0;
    session.structured = data[3] & 2;
    session.base_allocation = data[3] & 4;
    Stream(std::as_bytes(std::span(data, size)).subspan(4), session, data[3] & 8 ? 4096 : 1).run(piece);
    return 0;
}
