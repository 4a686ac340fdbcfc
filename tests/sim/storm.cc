#include "storm.h"

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/parse.h"
#include "base/random.h"
#include "client_model.h"
#include "kv/kv.h"
#include "replication/host.h"
#include "sim/world.h"

namespace kvstore::storm {
namespace {

constexpr std::uint32_t kKeysPerClient = 6;

mvcc::Operation operation_on(mvcc::OperationKind kind, const Bytes& key) {
    mvcc::Operation operation;
    operation.kind = kind;
    operation.key = key;
    operation.expiry_mode = mvcc::ExpiryMode::kKeep;
    return operation;
}

// One life of the node: opened over what the disk holds, until it crashes or stops.
struct Life {
    replication::Host* host = nullptr;
    kv::Kv* kv = nullptr;
};

class Storm {
public:
    Storm(std::uint64_t seed, const StormOptions& options)
        : options_(options),
          world_(seed),
          random_(seed ^ 0x5704d3ULL),
          node_(&world_.add_host("n1")) {
        for (std::uint32_t i = 0; i < options.client_count; ++i) {
            ClientModel& client = clients_.emplace_back();
            const std::string prefix = "c" + std::to_string(i) + "/";
            for (std::uint32_t k = 0; k < kKeysPerClient; ++k) {
                client.keys[prefix + std::to_string(k)];
            }
            client.counter_key = prefix + "counter";
        }
        segment_bytes_ = 64U << (10U + random_.below(4));
        snapshot_interval_ = std::chrono::milliseconds(random_.between(200, 4000));
        history_ = random_.chance(1, 2) ? Duration(0) : std::chrono::milliseconds(500);
    }

    StormReport run() {
        for (std::uint32_t round = 0;
             round < options_.round_count && report_.violation.empty() && !is_over_;
             ++round) {
            round_ = round;
            run_life();
        }
        if (report_.violation.empty() && !is_over_) {
            node_->disk_faults() = {};
            if (start_after_damage()) {
                verify_everything();
                stop_cleanly();
            }
        }
        report_.trace_hash = world_.trace_hash();
        return report_;
    }

private:
    void fail(const std::string& what) {
        if (report_.violation.empty()) {
            report_.violation = "life " + std::to_string(round_) + ": " + what;
        }
    }

    // ---- lives ----

    async::Task<Status> open_node() {
        replication::HostOptions host_options;
        host_options.wal.segment_bytes = segment_bytes_;
        host_options.wal.recycled_segments_max = 2;
        host_options.wal.disk_reserve_bytes = 1U << 20U;
        host_options.snapshot_interval = snapshot_interval_;
        auto host = co_await replication::Host::open(&node_->env(), std::move(host_options));
        if (!host.ok()) {
            co_return host.status();
        }
        life_.host = &node_->own(*std::move(host));
        kv::Kv::Options kv_options;
        kv_options.defaults.engine = replication::EngineKind::kMemory;
        kv_options.defaults.history = history_;
        auto kv = co_await kv::Kv::open(&node_->env(), life_.host, kv_options);
        if (!kv.ok()) {
            co_return kv.status();
        }
        life_.kv = &node_->own(*std::move(kv));
        co_return Status();
    }

    // Opens the node. nullopt: it crashed, or hung, while opening.
    std::optional<Status> start() {
        if (!node_->is_up()) {
            world_.restart(*node_);
        }
        life_ = {};
        return world_.try_block_on(*node_, open_node(), std::chrono::minutes(5));
    }

    // Opens the node on a disk without faults; whatever does not open now has lost data.
    bool start_after_damage() {
        const std::optional<Status> started = start();
        if (!started.has_value()) {
            fail("the node did not start in five minutes");
            return false;
        }
        if (!started->ok() && started->code() == Code::kCorruption && !flipped_.empty()) {
            is_over_ = true;
            return false;
        }
        if (!started->ok()) {
            fail("the node did not start: " + started->to_string());
            return false;
        }
        return true;
    }

    void run_life() {
        if (!start_with_faults()) {
            return;
        }
        verify_everything();
        if (!report_.violation.empty()) {
            return;
        }
        plan_faults();
        run_clients();
        node_->disk_faults() = {};
        node_->crash_at_change(0);
        // Damage to the very last record looks like a torn write until the log has marked it as
        // whole, a moment later: bits flip only after a clean stop or a quiet moment of a log that
        // has not failed.
        may_flip_ = node_->is_up() && !disk_failed_;
        if (!node_->is_up()) {
            ++report_.crash_count;
        } else if (random_.chance(1, 4)) {
            stop_cleanly();
        } else if (random_.chance(1, 2)) {
            world_.run_for(std::chrono::seconds(1));
            crash();
        } else {
            may_flip_ = false;
            crash();
        }
    }

    void crash() {
        log_info("storm: crash", {{"life", round_}});
        world_.crash(*node_,
                     random_.chance(1, 3) ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
        ++report_.crash_count;
    }

    void stop_cleanly() {
        auto stopping = [](Life life) -> async::Task<Status> {
            co_await life.kv->stop();
            co_return co_await life.host->stop();
        };
        log_info("storm: clean stop", {{"life", round_}});
        const auto stopped = world_.try_block_on(*node_, stopping(life_), std::chrono::minutes(5));
        if (!stopped.has_value()) {
            fail("stopping hung");
            return;
        }
        world_.crash(*node_, sim::CrashKind::kPowerLoss);
    }

    // Opens the node over a disk on which a bit may have flipped, or which fails while it opens.
    bool start_with_faults() {
        std::string flipped;
        if (may_flip_ && random_.chance(2, 3)) {
            flipped = flip_bit();
        }
        const bool interrupted = random_.chance(1, 6);
        if (interrupted) {
            // Bringing the node up is itself cut short now and then.
            if (!node_->is_up()) {
                world_.restart(*node_);
            }
            node_->crash_at_change(random_.between(1, 20));
        }
        std::optional<Status> started = start();
        node_->crash_at_change(0);
        if (!node_->is_up()) {
            // Cut short, or struck in the very turn in which it came up.
            ++report_.crash_count;
            started = start();
        }
        if (!started.has_value()) {
            fail("the node did not start in five minutes");
            return false;
        }
        if (started->ok()) {
            return true;
        }
        if (flipped.empty() && !flipped_.empty() && started->code() == Code::kCorruption) {
            // An earlier flip that nothing had read yet. Found is found; this world ends here.
            ++report_.refused_start_count;
            is_over_ = true;
            return false;
        }
        if (flipped.empty()) {
            fail("the node did not start, though nothing was damaged: " + started->to_string());
            return false;
        }
        if (started->code() != Code::kCorruption) {
            fail("damage at " + flipped + " was told as: " + started->to_string());
            return false;
        }
        ++report_.refused_start_count;
        // An operator restores the damaged file; here, the bit.
        world_.crash(*node_, sim::CrashKind::kKill);
        unflip();
        return start_after_damage();
    }

    // ---- damage ----

    std::string flip_bit() {
        auto place = node_->flip_random_bit();
        if (!place.ok()) {
            return {};
        }
        ++report_.fault_count;
        flipped_ = *place;
        log_info("storm: flipped a bit", {{"place", flipped_}});
        return flipped_;
    }

    void unflip() {
        // "path:offset:bit"
        const std::size_t bit_at = flipped_.rfind(':');
        const std::size_t offset_at = flipped_.rfind(':', bit_at - 1);
        const auto offset =
            parse_uint64(std::string_view(flipped_).substr(offset_at + 1, bit_at - offset_at - 1));
        const auto bit = parse_uint64(std::string_view(flipped_).substr(bit_at + 1));
        const Status mended = node_->flip_bit(flipped_.substr(0, offset_at),
                                              offset.value_or(0),
                                              static_cast<unsigned>(bit.value_or(0)));
        if (!mended.ok()) {
            fail("a refused start changed the damaged file " + flipped_);
        }
        flipped_.clear();
    }

    void plan_faults() {
        sim::DiskFaults& faults = node_->disk_faults();
        const std::uint64_t kind = random_.below(8);
        disk_failed_ = kind == 2 || kind == 3;
        log_info("storm: life begins", {{"life", round_}, {"fault", kind}});
        switch (kind) {
            case 0:
            case 1: node_->crash_at_change(random_.between(1, 400)); break;
            case 2:
                faults.on(sim::DiskCall::kSync).nth = random_.between(1, 30);
                ++report_.fault_count;
                break;
            case 3:
                faults.on(sim::DiskCall::kWrite).nth = random_.between(1, 200);
                ++report_.fault_count;
                break;
            case 4: plan_full_disk(); break;
            case 5:
                faults.slowness = static_cast<std::uint32_t>(random_.between(2, 50));
                faults.stall_chance = 20'000;
                faults.stall = std::chrono::milliseconds(200);
                break;
            case 6: {
                const auto jump = static_cast<std::int64_t>(random_.below(120'000)) - 60'000;
                world_.after(std::chrono::milliseconds(random_.below(200)), [this, jump] {
                    node_->jump_wall_clock(std::chrono::milliseconds(jump));
                });
                break;
            }
            default: break;
        }
    }

    // The disk fills up for a while; writes go on afterwards without a restart.
    void plan_full_disk() {
        ++report_.fault_count;
        world_.after(std::chrono::milliseconds(random_.below(100)), [this] {
            node_->disk_faults().capacity = (4U << 20U) + random_.below(4U << 20U);
        });
        world_.after(std::chrono::milliseconds(random_.between(200, 600)),
                     [this] { node_->disk_faults().capacity = sim::DiskFaults().capacity; });
    }

    // ---- clients ----

    void run_clients() {
        running_ = options_.client_count;
        for (std::uint32_t i = 0; i < options_.client_count; ++i) {
            node_->spawn(run_client(i));
        }
        const std::uint64_t life = node_->life();
        const bool ended = world_.run_until(
            [&] { return running_ == 0 || !node_->is_up() || node_->life() != life; },
            std::chrono::minutes(30));
        if (!ended) {
            fail("clients were not answered in 30 minutes");
        }
    }

    async::Task<void> run_client(std::uint32_t number) {
        ClientModel& client = clients_[number];
        Random random(random_.next());
        for (std::uint32_t i = 0; i < options_.operations_per_client; ++i) {
            ++report_.operation_count;
            const std::uint64_t dice = random.below(10);
            bool go_on = true;
            if (dice < 6) {
                go_on = co_await write_key(&client, random.next());
            } else if (dice < 8) {
                go_on = co_await increment(&client);
            } else {
                co_await read_key(&client, random.next());
            }
            if (!go_on) {
                break;
            }
            if (random.chance(1, 4)) {
                co_await node_->env().clock.sleep(std::chrono::milliseconds(random.below(20)));
            }
        }
        --running_;
    }

    static Bytes make_value(std::uint64_t dice) {
        Random random(dice);
        Bytes value = "v" + std::to_string(random.next());
        const std::uint64_t kind = random.below(40);
        const std::size_t padding = kind == 0 ? random.below(40'000) : random.below(120);
        value.append(padding, static_cast<char>(random.below(256)));
        return value;
    }

    async::Task<bool> write_key(ClientModel* client, std::uint64_t dice) {
        Random random(dice);
        auto chosen = client->keys.begin();
        std::advance(chosen, static_cast<std::ptrdiff_t>(random.below(client->keys.size())));
        const Bytes key = chosen->first;
        KeyModel& model = chosen->second;
        const bool deletes = random.chance(1, 5);
        const Bytes value = make_value(random.next());

        mvcc::Command command;
        mvcc::Operation operation =
            operation_on(deletes ? mvcc::OperationKind::kDelete : mvcc::OperationKind::kPut, key);
        operation.argument = deletes ? ByteView() : ByteView(value);
        operation.wants_previous = true;
        command.operations.push_back(operation);
        model.begin(deletes ? MaybeValue() : MaybeValue(value));
        const auto outcome =
            co_await life_.kv->execute(kv::CallContext(), life_.kv->default_keyspace(), &command);
        if (outcome.ok()) {
            const auto& previous = outcome->operations.front().previous;
            const MaybeValue before = previous ? MaybeValue(previous->value) : MaybeValue();
            if (!deletes && before != model.acknowledged()) {
                fail("a write found another value before it than was acknowledged, at " + key);
            }
            model.acknowledge();
            co_return true;
        }
        co_return note_failure(outcome.status(), [&model] { model.refuse(); });
    }

    async::Task<bool> increment(ClientModel* client) {
        mvcc::Command command;
        mvcc::Operation operation =
            operation_on(mvcc::OperationKind::kIncrement, client->counter_key);
        operation.delta = 1;
        command.operations.push_back(operation);
        ++client->counter.unknown;
        const auto outcome =
            co_await life_.kv->execute(kv::CallContext(), life_.kv->default_keyspace(), &command);
        if (!outcome.ok()) {
            co_return note_failure(outcome.status(), [client] { --client->counter.unknown; });
        }
        --client->counter.unknown;
        ++client->counter.acknowledged;
        if (client->counter.unknown == 0 &&
            outcome->operations.front().number != client->counter.acknowledged) {
            fail("a counter answered " + std::to_string(outcome->operations.front().number) +
                 " after " + std::to_string(client->counter.acknowledged) + " increments");
        }
        co_return true;
    }

    // Returns: whether the client goes on. A write whose effect is unknown ends it, as does a node
    // that takes no more writes.
    template <typename Refused>
    bool note_failure(const Status& status, Refused refused) {
        if (status.effect() == Effect::kNone) {
            refused();
            return status.code() == Code::kDiskFull || status.code() == Code::kOverloaded;
        }
        return false;
    }

    async::Task<void> read_key(ClientModel* client, std::uint64_t dice) {
        auto chosen = client->keys.begin();
        std::advance(chosen, static_cast<std::ptrdiff_t>(dice % client->keys.size()));
        const Bytes key = chosen->first;
        const auto found = co_await life_.kv->get(
            kv::CallContext(), life_.kv->default_keyspace(), key, Revision());
        if (!found.ok()) {
            co_return;
        }
        const MaybeValue seen = found->has_value() ? MaybeValue((*found)->value) : MaybeValue();
        if (!chosen->second.may_be(seen)) {
            fail("a read gave a value that was not written last, at " + key);
        }
    }

    // ---- after a restart ----

    void verify_everything() {
        auto verifying = [](Storm* storm) -> async::Task<bool> {
            for (ClientModel& client : storm->clients_) {
                co_await storm->verify_client(&client);
            }
            storm->verify_shards();
            co_return true;
        };
        const auto verified = world_.try_block_on(*node_, verifying(this), std::chrono::minutes(5));
        if (!verified.has_value() && !node_->is_up()) {
            // The crash that was planned for its start struck just after it.
            ++report_.crash_count;
            if (start_after_damage()) {
                verify_everything();
            }
            return;
        }
        if (!verified.has_value()) {
            fail("reading everything back hung");
        }
    }

    async::Task<void> verify_client(ClientModel* client) {
        kv::Kv& kv = *life_.kv;
        for (auto& [key, model] : client->keys) {
            const auto found =
                co_await kv.get(kv::CallContext(), kv.default_keyspace(), key, Revision());
            if (!found.ok()) {
                fail("reading " + key + " after a restart: " + found.status().to_string());
                co_return;
            }
            MaybeValue seen = found->has_value() ? MaybeValue((*found)->value) : MaybeValue();
            if (!model.may_be(seen)) {
                fail("after a restart " + key +
                     (seen ? " has a value that is not" : " is missing, which is not") +
                     " the acknowledged one or one under way");
                co_return;
            }
            model.settle(std::move(seen));
        }
        const auto found = co_await kv.get(
            kv::CallContext(), kv.default_keyspace(), client->counter_key, Revision());
        const std::int64_t count =
            found.ok() && found->has_value() ? parse_int64((*found)->value).value_or(-1) : 0;
        CounterModel& counter = client->counter;
        if (count < counter.acknowledged || count > counter.acknowledged + counter.unknown) {
            fail("after a restart a counter is " + std::to_string(count) + ", acknowledged " +
                 std::to_string(counter.acknowledged) + ", unknown " +
                 std::to_string(counter.unknown));
        }
        counter = {.acknowledged = count, .unknown = 0};
    }

    void verify_shards() {
        for (const replication::ShardDescription& shard : life_.host->shards()) {
            replication::Group* group = life_.host->find_group(shard.id);
            const auto view = group->shard().engine().view();
            const Status checked = mvcc::Shard::verify(view.get());
            if (!checked.ok()) {
                fail("shard " + std::to_string(shard.id.value()) + ": " + checked.to_string());
            }
        }
    }

    StormOptions options_;
    sim::World world_;
    Random random_;
    sim::Host* node_;
    Life life_;
    std::vector<ClientModel> clients_;
    std::uint32_t running_ = 0;
    std::uint32_t round_ = 0;
    std::uint64_t segment_bytes_ = 0;
    Duration snapshot_interval_{};
    Duration history_{};
    std::string flipped_;  // the last flip that was not mended
    bool may_flip_ = false;
    bool disk_failed_ = false;  // in this life
    bool is_over_ = false;
    StormReport report_;
};

}  // namespace

StormReport run_storm(std::uint64_t seed, const StormOptions& options) {
    return Storm(seed, options).run();
}

}  // namespace kvstore::storm
