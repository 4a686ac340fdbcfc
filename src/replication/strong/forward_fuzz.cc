// Whatever bytes a peer sends about a shard: a request, a leader or an outcome that is the same
// when it is encoded again, or an error.
#include <cstddef>
#include <cstdint>

#include "base/assert.h"
#include "mvcc/command.h"
#include "replication/strong/digest_trail.h"
#include "replication/strong/forward_codec.h"
#include "replication/strong/outcome_codec.h"

namespace {

using kvstore::Bytes;
using kvstore::ByteView;
namespace replication = kvstore::replication;

void check_request(ByteView input) {
    const auto request = replication::decode_forward_request(input);
    if (!request.ok()) {
        return;
    }
    Bytes encoded;
    replication::encode_forward_request(*request, encoded);
    const auto again = replication::decode_forward_request(encoded);
    KVSTORE_ASSERT(again.ok());
    KVSTORE_ASSERT(again->kind == request->kind && again->shard == request->shard);
    KVSTORE_ASSERT(again->term == request->term && again->whom == request->whom);
    KVSTORE_ASSERT(again->body == request->body);
    kvstore::mvcc::Command command;
    static_cast<void>(kvstore::mvcc::decode_command(request->body, command));
}

void check_leader(ByteView input) {
    const auto answer = replication::decode_leader_answer(input);
    if (!answer.ok()) {
        return;
    }
    Bytes encoded;
    replication::encode_leader_answer(*answer, encoded);
    const auto again = replication::decode_leader_answer(encoded);
    KVSTORE_ASSERT(again.ok());
    KVSTORE_ASSERT(again->leader == answer->leader && again->term == answer->term);
}

void check_digests(ByteView input) {
    const auto points = replication::decode_digests(input);
    if (!points.ok()) {
        return;
    }
    Bytes encoded;
    replication::encode_digests(*points, encoded);
    const auto again = replication::decode_digests(encoded);
    KVSTORE_ASSERT(again.ok() && *again == *points);
}

void check_outcome(ByteView input) {
    replication::OutcomeWriter first;
    if (!replication::replay_outcome(input, &first).ok()) {
        return;
    }
    replication::OutcomeWriter second;
    KVSTORE_ASSERT(replication::replay_outcome(first.bytes(), &second).ok());
    KVSTORE_ASSERT(second.bytes() == first.bytes());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): libFuzzer's bytes are unsigned
    const ByteView input(reinterpret_cast<const char*>(data), size);
    check_request(input);
    check_leader(input);
    check_digests(input);
    check_outcome(input);
    return 0;
}
