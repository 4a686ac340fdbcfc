#include "replication/testing/group_cluster.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "base/assert.h"
#include "storage/engines.h"

namespace kvstore::replication::testing {
namespace {

constexpr GroupId kGroup{7};

class Replay final : public storage::WalVisitor {
public:
    explicit Replay(RaftGroup& group) : group_(group) {}
    Status on_entry(const storage::LogEntry& entry) override { return group_.replay_entry(entry); }
    Status on_state(const storage::LogState& state) override { return group_.replay_state(state); }
    Status on_start(GroupId /*group*/, Term term, Index index) override {
        return group_.replay_start(term, index);
    }
    Status on_drop(GroupId /*group*/) override { return {}; }

private:
    RaftGroup& group_;
};

async::Task<void> tick_loop(env::Env* env,
                            GroupShared* shared,
                            RaftGroup* group,
                            std::shared_ptr<bool> is_ticking) {
    while (*is_ticking) {
        co_await env->clock.sleep(shared->timing.tick);
        if (*is_ticking) {
            group->tick();
        }
    }
}

async::Task<Status> stop_group(RaftGroup* group, storage::Wal* wal) {
    const Status stopped = co_await group->stop();
    (void)co_await wal->stop();
    co_return stopped;
}

}  // namespace

// Hands messages to the cluster, which carries them.
class GroupCluster::Bus final : public RaftLink {
public:
    explicit Bus(GroupCluster& cluster) : cluster_(cluster) {}
    void send(const raft::Message& message) override { cluster_.deliver(message); }
    void send_snapshot(RaftGroup& /*group*/, const raft::Message& /*message*/) override {}
    void on_quarantine(RaftGroup& /*group*/) override {}

private:
    GroupCluster& cluster_;
};

GroupCluster::GroupCluster(std::uint64_t seed, std::size_t size) : world_(seed) {
    for (std::uint64_t id = 1; id <= size; ++id) {
        auto member = std::make_unique<Member>();
        member->id = id;
        member->machine = &world_.add_host("n" + std::to_string(id));
        member->link = std::make_unique<Bus>(*this);
        members_.push_back(std::move(member));
    }
}

GroupCluster::~GroupCluster() {
    for (const auto& member : members_) {
        if (member->group != nullptr) {
            stop(member->id);
        }
    }
}

async::Task<Status> GroupCluster::open(Member* member) {
    env::Env& env = member->machine->env();
    storage::MemoryEngineOptions engine_options;
    engine_options.shard = ShardId(kGroup.value());
    auto engine = co_await storage::open_memory_engine(&env, "engine", engine_options);
    KVSTORE_CO_TRY(std::unique_ptr<storage::Engine> opened, std::move(engine));
    std::vector<NodeId> founders;
    for (const auto& each : members_) {
        founders.emplace_back(each->id);
    }
    auto group = co_await RaftGroup::open(
        member->shared.get(), kGroup, std::move(opened), std::move(founders), 0);
    KVSTORE_CO_TRY(member->group, std::move(group));
    Replay replay(*member->group);
    storage::WalOptions wal_options;
    wal_options.segment_bytes = 1U << 20U;
    wal_options.disk_reserve_bytes = 0;
    auto wal = co_await storage::Wal::open(&env, "wal", wal_options, &replay);
    KVSTORE_CO_TRY(member->wal, std::move(wal));
    member->shared->wal = member->wal.get();
    member->shared->incarnation = member->wal->statistics().last_sequence.value();
    KVSTORE_CO_CHECK_OK(co_await member->group->begin());
    co_return co_await member->group->wait_caught_up();
}

void GroupCluster::start(std::uint64_t id) {
    Member& member = at(id);
    KVSTORE_ASSERT(member.group == nullptr);
    if (!member.machine->is_up()) {
        world_.restart(*member.machine);
    }
    env::Env& env = member.machine->env();
    member.clock = std::make_unique<HybridClock>();
    member.shared = std::make_unique<GroupShared>(GroupShared{.env = env,
                                                              .clock = *member.clock,
                                                              .self = NodeId(id),
                                                              .link = member.link.get(),
                                                              .proposal_bytes_max = 64U << 20U});
    const Status opened = run(id, open(&member));
    KVSTORE_ASSERT(opened.ok());
    member.is_ticking = std::make_shared<bool>(true);
    member.machine->spawn(
        tick_loop(&env, member.shared.get(), member.group.get(), member.is_ticking));
}

void GroupCluster::start_all() {
    for (const auto& member : members_) {
        start(member->id);
    }
}

void GroupCluster::stop(std::uint64_t id) {
    Member& member = at(id);
    EXPECT_TRUE(run(id, stop_group(member.group.get(), member.wal.get())).ok());
    *member.is_ticking = false;
    world_.run_for(std::chrono::milliseconds(200));
    member.group.reset();
    member.wal.reset();
    member.shared.reset();
}

void GroupCluster::crash(std::uint64_t id, sim::CrashKind kind) {
    Member& member = at(id);
    *member.is_ticking = false;
    world_.crash(*member.machine, kind);
    sim::bury(std::move(member.group));
    sim::bury(std::move(member.wal));
    sim::bury(std::move(member.shared));
    sim::bury(std::move(member.clock));
}

void GroupCluster::isolate(std::uint64_t id) {
    for (const auto& other : members_) {
        if (other->id != id) {
            block(id, other->id);
            block(other->id, id);
        }
    }
}

void GroupCluster::deliver(const raft::Message& message) {
    const std::uint64_t from = message.from.value();
    const std::uint64_t to = message.to.value();
    if (to > members_.size() || blocked_.contains({from, to}) ||
        world_.random().below(1'000'000) < loss_) {
        return;
    }
    const Duration delay = std::chrono::microseconds(100 + world_.random().below(2'000));
    world_.after(delay, [this, to, message] {
        Member& member = at(to);
        if (member.group == nullptr || !member.machine->is_up()) {
            return;
        }
        member.machine->spawn([](Member* target, raft::Message what) -> async::Task<void> {
            if (target->group != nullptr) {
                target->group->step(std::move(what));
            }
            co_return;
        }(&member, message));
    });
}

std::uint64_t GroupCluster::leader() const {
    for (const auto& member : members_) {
        const auto blocked = std::ranges::count_if(
            blocked_, [&member](const auto& pair) { return pair.first == member->id; });
        const bool is_cut_off = static_cast<std::size_t>(blocked) + 1 == members_.size();
        if (member->group != nullptr && member->group->is_leader() && !is_cut_off) {
            return member->id;
        }
    }
    return 0;
}

std::uint64_t GroupCluster::wait_for_leader(Duration limit) {
    world_.run_until([this] { return leader() != 0; }, limit);
    return leader();
}

template <typename Work>
void GroupCluster::on_core(std::uint64_t member, Work work) {
    Callback<void()> callback = [&work] {
        work();
    };
    world_.block_on(*at(member).machine, [](Callback<void()>* call) -> async::Task<bool> {
        (*call)();
        co_return true;
    }(&callback));
}

Told& GroupCluster::propose(std::uint64_t member, const mvcc::Operation& operation) {
    Told& told = told_.emplace_back();
    on_core(member, [&] { told.refusal = group(member).propose(operation, &told); });
    return told;
}

void GroupCluster::wait(Told& told, Duration limit) {
    world_.run_until([&told] { return told.is_over(); }, limit);
}

Told& GroupCluster::put(std::uint64_t member, ByteView key, ByteView value) {
    Told& told = propose(member, put_of(key, value));
    wait(told);
    return told;
}

std::optional<Bytes> GroupCluster::local_value(std::uint64_t member, ByteView key) {
    std::optional<Bytes> value;
    on_core(member, [&] {
        mvcc::Record record;
        if (group(member).shard().find(key, 0, &record) == storage::Lookup::kFound) {
            value = Bytes(record.value);
        }
    });
    return value;
}

Status GroupCluster::read_barrier(std::uint64_t member, Duration patience) {
    return run(member, group(member).read_barrier(async::Deadline::after(world_.now(), patience)));
}

Result<std::optional<Bytes>> GroupCluster::read(std::uint64_t member, ByteView key) {
    KVSTORE_CHECK_OK(read_barrier(member));
    return local_value(member, key);
}

::testing::AssertionResult GroupCluster::agree(Duration limit) {
    const auto is_same = [this] {
        std::optional<Index> applied;
        for (const auto& member : members_) {
            if (member->group == nullptr) {
                continue;
            }
            const Index mine = member->group->shard().applied_index();
            if (applied.value_or(mine) != mine || member->group->last_index() != mine) {
                return false;
            }
            applied = mine;
        }
        return true;
    };
    if (!world_.run_until(is_same, limit)) {
        return ::testing::AssertionFailure() << "members do not come to the same index";
    }
    std::optional<std::uint64_t> digest;
    for (const auto& member : members_) {
        if (member->group == nullptr) {
            continue;
        }
        const std::uint64_t mine = member->group->shard().state().digest;
        if (digest.value_or(mine) != mine) {
            return ::testing::AssertionFailure()
                   << "the digest of member " << member->id << " differs";
        }
        digest = mine;
    }
    return ::testing::AssertionSuccess();
}

}  // namespace kvstore::replication::testing
