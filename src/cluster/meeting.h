// How new nodes that begin one cluster together (--initial-cluster) come to know each other.
//
// Each asks every other until all have answered, and only then takes part: from then on each knows
// the store of each. Who loses its disk comes back with another store and is refused by all; nobody
// who was ever heard of can vote as if it remembered.
//
// Call on wire::kMeetingTopic: the request is empty; the answer is format (1, varint), number
// (varint), store (8 bytes), flags (varint; 1: it takes part already), name (length-prefixed).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/id.h"
#include "base/status.h"
#include "env/env.h"
#include "rpc/transport.h"
#include "wire/topics.h"

namespace kvstore::cluster {

using wire::kMeetingTopic;

struct Founder {
    NodeId number{};  // by its place among the names in order
    std::string name;
    env::Address address;
    std::uint64_t store = 0;
};

// Numbers them, in the order of their names.
void number_founders(std::vector<Founder>& founders);
// The same for every node that was given the same list, in whatever order.
[[nodiscard]] std::uint64_t cluster_id_for(const std::vector<Founder>& founders);

// "number:store:name=host:port,..." for the file of the data directory, and back. Errors:
// kCorruption.
[[nodiscard]] std::string encode_founding(const std::vector<Founder>& founders);
Result<std::vector<Founder>> decode_founding(std::string_view text);

// Who answers on the meeting's topic.
//
// Lifetime  Outlives the transport that it is a service of.
class MeetingService final : public rpc::Service {
public:
    explicit MeetingService(Founder self) : self_(std::move(self)) {}

    // From now on the answer says that this node takes part.
    void set_taking_part() { is_taking_part_ = true; }

    void on_messages(NodeId from, rpc::Received messages) override;
    void on_call(NodeId from, rpc::Received request, rpc::Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<rpc::IncomingStream> stream) override;

private:
    Founder self_;
    bool is_taking_part_ = false;
};

// Asks the others until all have answered.
// Errors: kConflict: one of them knows this node's name with another data directory, so this one
//         has to join as a new node. kInvalidArgument: at an address answers another node than the
//         list says.
async::Task<Result<std::vector<Founder>>> meet(env::Env* env,
                                               rpc::Transport* transport,
                                               std::vector<Founder> founders,
                                               NodeId self);

}  // namespace kvstore::cluster
