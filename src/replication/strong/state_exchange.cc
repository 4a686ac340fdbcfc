#include "replication/strong/state_exchange.h"

#include <optional>
#include <utility>

#include "base/log.h"
#include "replication/shard_folder.h"
#include "replication/strong/group_meta.h"
#include "replication/strong/state_transfer.h"
#include "wire/topics.h"

namespace kvstore::replication {
namespace {

constexpr Duration kOpenPatience = std::chrono::seconds(5);
// Until the receiver has made everything durable and installed it.
constexpr Duration kInstallPatience = std::chrono::minutes(10);

std::string incoming_folder(ShardId shard) {
    return shard_folder(shard) + "/incoming";
}
std::string received_folder(ShardId shard) {
    return shard_folder(shard) + "/received";
}
std::string replaced_folder(ShardId shard) {
    return shard_folder(shard) + "/replaced";
}

class Received final : public ReceivedState {
public:
    Received(env::Env& env, StateOwner& owner, ShardDescription description)
        : env_(env), owner_(owner), description_(std::move(description)) {}
    virtual ~Received() = default;

    async::Task<Result<std::unique_ptr<storage::Engine>>> adopt() override {
        const ShardId shard = description_.id;
        KVSTORE_CO_CHECK_OK(
            co_await env_.disk.rename(shard_engine_folder(shard), replaced_folder(shard)));
        KVSTORE_CO_CHECK_OK(co_await settle_received_state(&env_.disk, shard));
        co_return co_await owner_.open_engine(description_, shard_engine_folder(shard));
    }

private:
    env::Env& env_;
    StateOwner& owner_;
    ShardDescription description_;
};

}  // namespace

async::Task<Status> settle_received_state(env::Disk* disk, ShardId shard) {
    KVSTORE_CO_TRY(const bool has_engine, co_await disk->exists(shard_engine_folder(shard)));
    KVSTORE_CO_TRY(const bool has_received, co_await disk->exists(received_folder(shard)));
    if (!has_engine && has_received) {
        KVSTORE_CO_CHECK_OK(
            co_await disk->rename(received_folder(shard), shard_engine_folder(shard)));
        KVSTORE_CO_CHECK_OK(co_await disk->sync_directory(shard_folder(shard)));
    }
    for (const std::string& rubbish :
         {replaced_folder(shard), received_folder(shard), incoming_folder(shard)}) {
        KVSTORE_CO_TRY(const bool exists, co_await disk->exists(rubbish));
        if (exists) {
            KVSTORE_CO_CHECK_OK(co_await disk->remove(rubbish));
        }
    }
    co_return Status();
}

StateExchange::StateExchange(env::Env& env,
                             StateOwner& owner,
                             rpc::Transport& transport,
                             NodeId self)
    : env_(env),
      owner_(owner),
      transport_(transport),
      self_(self),
      slots_(env.scheduler, kStreamsMax),
      gate_(env.scheduler) {}

async::Task<void> StateExchange::stop() {
    co_await gate_.close();
}

// ---- sending ----

void StateExchange::send(ShardId shard, NodeId to) {
    // The core asks again when it hears that a stream has failed.
    if (sending_.emplace(shard, to).second) {
        gate_.spawn(send_and_report(shard, to));
    }
}

async::Task<void> StateExchange::send_and_report(ShardId shard, NodeId to) {
    co_await slots_.acquire();
    const Status sent = co_await send_state_of(shard, to);
    slots_.release();
    sending_.erase({shard, to});
    if (!sent.ok()) {
        log_warning("sending a shard's state failed; it is tried again",
                    {{"shard", shard.value()}, {"to", to.value()}, {"reason", sent.to_string()}});
    }
    ShardDescription description;
    RaftGroup* const group = owner_.find_replica(shard, &description);
    if (group != nullptr) {
        group->on_snapshot_sent(
            to, sent.ok() ? raft::SnapshotOutcome::kArrived : raft::SnapshotOutcome::kFailed);
    }
}

async::Task<Status> StateExchange::send_state_of(ShardId shard, NodeId to) {
    TransferHeader header;
    RaftGroup* const group = owner_.find_replica(shard, &header.shard);
    if (group == nullptr || !group->is_leader()) {
        co_return Status(Code::kUnavailable, "this node does not lead the shard");
    }
    async::Gate& gate = group->gate();
    if (!gate.try_enter()) {
        co_return Status(Code::kUnavailable, "the shard is closing");
    }
    Status sent;
    {
        auto source = group->snapshot_source();
        header.from = self_;
        header.term = group->term();
        sent = source.status();
        if (sent.ok()) {
            header.applied = (*source)->applied_index();
            auto opened = co_await transport_.open_stream(
                to,
                wire::kRaftTopic,
                encode_transfer_header(header),
                async::Deadline::after(env_.clock.now(), kOpenPatience));
            sent = opened.status();
            if (sent.ok()) {
                sent = co_await send_state(source->get(), opened->get());
            }
            if (sent.ok()) {
                auto answered = co_await (*opened)->finish(
                    async::Deadline::after(env_.clock.now(), kInstallPatience));
                sent = answered.status();
            }
        }
    }
    gate.leave();
    co_return sent;
}

// ---- receiving ----

async::Task<Result<Bytes>> StateExchange::receive(NodeId from,
                                                  Bytes header,
                                                  std::unique_ptr<rpc::IncomingStream> stream) {
    if (!gate_.try_enter()) {
        co_return Status(Code::kUnavailable, "the server is stopping");
    }
    const Status received =
        co_await receive_and_install(from, std::move(header), std::move(stream));
    gate_.leave();
    if (!received.ok()) {
        co_return received;
    }
    co_return Bytes();
}

async::Task<Status> StateExchange::receive_and_install(
    NodeId from, Bytes header_bytes, std::unique_ptr<rpc::IncomingStream> stream) {
    KVSTORE_CO_TRY(const TransferHeader header, decode_transfer_header(header_bytes));
    const ShardId shard = header.shard.id;
    if (header.from != from) {
        co_return Status(Code::kInvalidArgument, "the state is not the sender's own");
    }
    if (!receiving_.insert(shard).second) {
        co_return Status(Code::kUnavailable, "this shard's state is being received already");
    }
    auto meta = co_await store(header, stream.get());
    Status done = meta.status();
    if (done.ok()) {
        done = co_await install(header, *std::move(meta));
    }
    receiving_.erase(shard);
    co_return done;
}

// Everything up to a complete and durable state in received/.
async::Task<Result<GroupMeta>> StateExchange::store(TransferHeader header,
                                                    rpc::IncomingStream* stream) {
    env::Disk& disk = env_.disk;
    const ShardId shard = header.shard.id;
    ShardDescription description;
    RaftGroup* const group = owner_.find_replica(shard, &description);
    if (group == nullptr) {
        co_return Status(Code::kNotFound, "no replica of shard " + std::to_string(shard.value()));
    }
    if (group->shard().applied_index() >= header.applied) {
        co_return Status(Code::kConflict, "the state is older than what is here");
    }
    KVSTORE_CO_CHECK_OK(co_await disk.remove(incoming_folder(shard)));
    auto opened = co_await owner_.open_engine(header.shard, incoming_folder(shard));
    KVSTORE_CO_TRY(const std::unique_ptr<storage::Engine> engine, std::move(opened));
    const Status stored = co_await receive_state(stream, engine.get(), header.applied);
    auto meta = co_await load_group_meta(engine.get());
    const Status closed = co_await engine->close();
    KVSTORE_CO_CHECK_OK(stored);
    KVSTORE_CO_CHECK_OK(closed);
    KVSTORE_CO_CHECK_OK(meta.status());
    if (!meta->has_value()) {
        co_return Status(Code::kCorruption, "the received state lacks its group");
    }
    KVSTORE_CO_CHECK_OK(co_await disk.remove(received_folder(shard)));
    KVSTORE_CO_CHECK_OK(co_await disk.rename(incoming_folder(shard), received_folder(shard)));
    KVSTORE_CO_CHECK_OK(co_await disk.sync_directory(shard_folder(shard)));
    co_return **std::move(meta);
}

async::Task<Status> StateExchange::install(TransferHeader header, GroupMeta meta) {
    const ShardId shard = header.shard.id;
    raft::Message message;
    message.kind = raft::MessageKind::kSnapshot;
    message.group = GroupId(shard.value());
    message.from = header.from;
    message.to = self_;
    message.term = header.term;
    message.snapshot = std::make_shared<const raft::SnapshotMeta>(raft::SnapshotMeta{
        .index = header.applied, .term = meta.term, .conf = std::move(meta.conf)});
    // The replica may have gone while the state came.
    ShardDescription description;
    RaftGroup* const group = owner_.find_replica(shard, &description);
    if (group == nullptr) {
        co_return Status(Code::kUnavailable, "the replica has gone");
    }
    Received state(env_, owner_, header.shard);
    co_return co_await group->install_snapshot(std::move(message), &state);
}

}  // namespace kvstore::replication
