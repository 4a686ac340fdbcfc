// WAIT: how many replicas hold what the connection wrote.
//
// A write is answered when a majority of its shard's voters has it, so there is nothing to wait for
// before some replicas have it; WAIT is for those who want more, or want to know. It asks the
// leader of every shard that the connection has touched who holds all that was applied by then, and
// answers the smallest count: others are counted, the leader is not.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/parse.h"
#include "env/clock.h"
#include "frontend/resp/internal/arguments.h"
#include "frontend/resp/internal/commands.h"
#include "frontend/resp/internal/core.h"
#include "frontend/resp/internal/session.h"

namespace kvstore::resp {
namespace {

// A leader is asked for so long at once, so that a connection that closes is noticed.
constexpr Duration kSlice = std::chrono::milliseconds(500);
constexpr Duration kPause = std::chrono::milliseconds(50);

// Those with writes of the connection; of one that has none, those that it would write to.
std::vector<kv::ShardHandle> shards_of(kv::Kv& kv,
                                       const kv::CallContext& context,
                                       const kv::KeyspaceHandle& selected) {
    std::vector<kv::ShardHandle> shards;
    for (const kv::KeyspaceInfo& info : kv.keyspaces()) {
        const kv::KeyspaceHandle keyspace = kv.find_keyspace(info.name);
        if (keyspace == nullptr) {
            continue;
        }
        for (const kv::ShardHandle& shard : keyspace->shards()) {
            if (context.session->seen(shard->id()) > Revision() ||
                context.session->has_forgotten(shard->id())) {
                shards.push_back(shard);
            }
        }
    }
    return shards.empty() ? std::vector<kv::ShardHandle>(selected->shards()) : shards;
}

bool is_unheard(const AwaitedCall& call) {
    return call.session() == nullptr || call.session()->has_input_ended();
}

// Returns: how many hold it; what is certain, while the leader cannot be asked.
async::Task<std::uint64_t> wait_for(AwaitedCall* call,
                                    kv::ShardHandle shard,
                                    std::uint64_t wanted,
                                    MonotonicTime end) {
    kv::Kv& kv = call->core.kv();
    const std::uint64_t certain = kv.certain_holders(shard->id());
    std::uint64_t count = certain;
    kv::HoldersQuestion question;
    question.wanted = wanted;
    for (;;) {
        const MonotonicTime now = kv.env().clock.now();
        question.wait = std::clamp(end - now, Duration(0), kSlice);
        const auto told = co_await kv.count_holders(shard, question);
        if (told.ok()) {
            question.index = told->index;
            count = std::max(certain, told->count);
        }
        const Duration left = end - kv.env().clock.now();
        if (count >= wanted || left <= Duration(0) || is_unheard(*call) || shard->is_gone()) {
            co_return count;
        }
        if (!told.ok()) {
            co_await kv.env().clock.sleep(std::min(left, kPause));
        }
    }
}

async::Task<void> wait_for_replicas(AwaitedCall* call) {
    const std::int64_t replicas = parse_int64(call->arguments()[1]).value_or(0);
    const auto timeout = std::chrono::milliseconds(parse_int64(call->arguments()[2]).value_or(0));
    const MonotonicTime now = call->core.kv().env().clock.now();
    const bool is_forever =
        timeout.count() == 0 || timeout >= std::chrono::duration_cast<std::chrono::milliseconds>(
                                               MonotonicTime::max() - now);
    const MonotonicTime end = is_forever ? MonotonicTime::max() : now + timeout;
    const auto wanted = static_cast<std::uint64_t>(std::max<std::int64_t>(replicas, 0));
    const std::vector<kv::ShardHandle> shards =
        shards_of(call->core.kv(), call->context, call->keyspace);
    std::optional<std::uint64_t> least;
    for (std::size_t i = 0; i < shards.size(); ++i) {
        const std::uint64_t count = co_await wait_for(call, shards[i], wanted, end);
        least = std::min(least.value_or(count), count);
    }
    call->reply.integer(static_cast<std::int64_t>(least.value_or(0)));
}

// Within a transaction nothing waits; its own writes are told when they are on a majority.
Outcome count_certain(Call& call) {
    std::optional<std::uint64_t> least;
    for (const kv::ShardHandle& shard : call.keyspace()->shards()) {
        const std::uint64_t certain = call.kv().certain_holders(shard->id());
        least = std::min(least.value_or(certain), certain);
    }
    return call.integer(static_cast<std::int64_t>(least.value_or(0)));
}

}  // namespace

Outcome wait_command(Call& call) {
    const auto replicas = parse_int64(call[1]);
    const auto timeout = parse_int64(call[2]);
    if (!replicas) {
        return call.fail(kNotAnInteger);
    }
    if (!timeout) {
        return call.fail("ERR timeout is not an integer or out of range");
    }
    if (*timeout < 0) {
        return call.fail("ERR timeout is negative");
    }
    return call.is_in_transaction() ? count_certain(call) : call.await(wait_for_replicas);
}

}  // namespace kvstore::resp
