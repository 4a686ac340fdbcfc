// Reads of shards that have no replica on this node, and of other nodes that have none.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "kv/catalog.h"
#include "kv/inside.h"
#include "kv/kv.h"
#include "kv/readable.h"
#include "kv/remote_read.h"

namespace kvstore::kv {
namespace {

constexpr Duration kServePatience = std::chrono::seconds(5);

// Weaker reads may be answered by a follower.
replication::AskWhom whom(Consistency consistency) {
    return consistency == Consistency::kLinearizable ? replication::AskWhom::kLeader
                                                     : replication::AskWhom::kAnyReplica;
}

void note_shown(const CallContext& context, std::string_view token) {
    const Result<SessionToken> shown = SessionToken::parse(token);
    if (context.session != nullptr && shown.ok()) {
        context.session->merge(*shown);
    }
}

}  // namespace

async::Task<Result<RemoteAnswer>> Kv::ask(const CallContext* context,
                                          ShardHandle shard,
                                          RemoteRead read) {
    read.consistency = context->consistency;
    read.max_staleness_ms = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(context->max_staleness).count());
    read.session = context->session != nullptr && !context->session->empty()
                       ? context->session->text()
                       : std::string();
    Bytes request = encode_remote_read(read);
    auto asked = co_await shard->group().ask(
        std::move(request), whom(context->consistency), context->deadline);
    KVSTORE_CO_TRY(const Bytes bytes, std::move(asked));
    KVSTORE_CO_CHECK_OK(shard->check_not_gone());
    KVSTORE_CO_TRY(RemoteAnswer answer, decode_remote_answer(bytes));
    note_shown(*context, answer.session);
    co_return answer;
}

async::Task<Result<Kv::Records>> Kv::ask_for_keys(CallContext context,
                                                  ShardHandle shard,
                                                  std::vector<Bytes> keys,
                                                  Revision as_of,
                                                  std::size_t values_bytes_max) {
    RemoteRead read;
    const std::size_t count = keys.size();
    read.keys = std::move(keys);
    read.as_of = as_of;
    read.values_bytes_max = values_bytes_max;
    auto asked = co_await ask(&context, std::move(shard), std::move(read));
    KVSTORE_CO_TRY(RemoteAnswer answer, std::move(asked));
    if (answer.records.size() != count) {
        co_return Status(Code::kCorruption, "another node answered for other keys");
    }
    co_return std::move(answer.records);
}

async::Task<Result<mvcc::ScanPage>> Kv::ask_for_page(CallContext context,
                                                     ShardHandle shard,
                                                     mvcc::ScanRequest request) {
    RemoteRead read;
    read.scan = std::move(request);
    auto asked = co_await ask(&context, std::move(shard), std::move(read));
    KVSTORE_CO_TRY(RemoteAnswer answer, std::move(asked));
    if (!answer.page.has_value()) {
        co_return Status(Code::kCorruption, "another node answered something else");
    }
    co_return *std::move(answer.page);
}

// ---- the other side ----

void Kv::on_ask(ShardId shard, rpc::Received request, rpc::Responder responder) {
    if (!gate_.spawn(serve(shard, Bytes(request.bytes), std::move(responder)))) {
        return;  // the responder says so
    }
}

async::Task<void> Kv::serve(ShardId shard, Bytes request, rpc::Responder responder) {
    auto answered = co_await answer(shard, std::move(request));
    if (answered.ok()) {
        responder.answer(encode_remote_answer(*answered));
    } else {
        responder.fail(answered.status());
    }
}

async::Task<Result<RemoteAnswer>> Kv::answer(ShardId shard, Bytes request) {
    KVSTORE_CO_TRY(RemoteRead read, decode_remote_read(request));
    const ShardHandle handle = catalog_->find_shard(shard);
    if (handle == nullptr || handle->is_gone() || !handle->group().has_replica()) {
        co_return Status(Code::kUnavailable, "this node does not show the shard yet");
    }
    RemoteAnswer answer;
    if (read.holders.has_value()) {
        auto counted = co_await count_holders_here(handle, *read.holders);
        KVSTORE_CO_TRY(answer.holders, std::move(counted));
        co_return answer;
    }
    if (!std::ranges::all_of(read.keys, [&](const Bytes& key) { return handle->contains(key); })) {
        co_return Status(Code::kUnavailable, "the shard holds other keys by now; ask anew");
    }
    if (read.consistency != Consistency::kLinearizable) {
        // Whoever asked goes on to the next; two that have nothing would ask each other for ever.
        KVSTORE_CO_CHECK_OK(check_replica(handle->group()));
    }
    CallContext context;
    context.consistency = read.consistency;
    context.max_staleness = std::chrono::milliseconds(read.max_staleness_ms);
    context.deadline.at = env_.clock.now() + kServePatience;
    context.session = std::make_shared<SessionToken>();
    if (!read.session.empty()) {
        KVSTORE_CO_TRY(*context.session, SessionToken::parse(read.session));
    }
    const std::shared_ptr<SessionToken> session = context.session;
    if (read.scan.has_value()) {
        auto page = co_await scan_in(std::move(context), handle, *std::move(read.scan));
        KVSTORE_CO_TRY(answer.page, std::move(page));
    } else if (read.as_of != Revision() && read.keys.size() == 1) {
        Bytes key = std::move(read.keys.front());
        auto record = co_await get_in(std::move(context), handle, std::move(key), read.as_of);
        KVSTORE_CO_TRY(std::optional<OwnedRecord> found, std::move(record));
        answer.records.push_back(std::move(found));
    } else {
        auto records = co_await get_many_in(
            std::move(context), handle, std::move(read.keys), read.values_bytes_max);
        KVSTORE_CO_TRY(answer.records, std::move(records));
    }
    answer.session = session->text();
    co_return answer;
}

}  // namespace kvstore::kv
