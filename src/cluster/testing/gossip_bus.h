// Failure detectors of a whole cluster in one thread, and the network between them: ticks come at
// each node's own moment, messages take a tick or less, are lost by chance, cross the codec, and do
// not pass between the parts of a partition.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "cluster/failure_detector.h"
#include "wire/gossip.h"

namespace kvstore::cluster::testing {

class GossipBus {
public:
    GossipBus(std::size_t count, std::uint64_t seed, FailureDetectorOptions with = {})
        : options_(with), random_(seed) {
        for (std::uint64_t i = 1; i <= count; ++i) {
            ids_.emplace_back(i);
        }
        for (const NodeId id : ids_) {
            start(id);
        }
    }

    // A new life of the node's process.
    void start(NodeId id) {
        hosts_[id].detector = std::make_unique<FailureDetector>(id, options_, random_.next());
        hosts_[id].detector->set_members(ids_);
        hosts_[id].is_up = true;
    }
    // Its process ends; what was under way to it is lost.
    void crash(NodeId id) {
        hosts_[id].is_up = false;
        hosts_[id].inbox.clear();
    }
    // It runs no more, and what comes waits for it.
    void pause(NodeId id) { hosts_[id].is_paused = true; }
    void resume(NodeId id) { hosts_[id].is_paused = false; }

    // Nothing passes between `part` and the others.
    void cut_off(std::set<NodeId> part) { part_ = std::move(part); }
    void heal() { part_.clear(); }

    std::uint32_t loss_percent = 0;

    void run(std::uint64_t ticks) {
        for (std::uint64_t i = 0; i < ticks; ++i) {
            tick();
        }
    }
    // False when `done()` did not hold within `ticks_max`.
    template <typename Predicate>
    bool run_until(Predicate done, std::uint64_t ticks_max) {
        for (std::uint64_t i = 0; i < ticks_max && !done(); ++i) {
            tick();
        }
        return done();
    }

    [[nodiscard]] FailureDetector& at(NodeId id) { return *hosts_.at(id).detector; }
    [[nodiscard]] wire::MemberState state(NodeId of, NodeId seen_by) {
        return at(seen_by).find(of)->state;
    }
    // Whether all that run hold `of` to be so.
    [[nodiscard]] bool all_hold(NodeId of, wire::MemberState expected) {
        return std::ranges::all_of(ids_, [&](NodeId by) {
            return by == of || !hosts_.at(by).is_up || hosts_.at(by).is_paused ||
                   state(of, by) == expected;
        });
    }
    [[nodiscard]] bool all_hold_all_alive() {
        return std::ranges::all_of(
            ids_, [this](NodeId of) { return all_hold(of, wire::MemberState::kAlive); });
    }

    [[nodiscard]] const std::vector<NodeId>& ids() const { return ids_; }
    Random& random() { return random_; }

    // Since the beginning, by all.
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t deaths = 0;  // declared, also by gossip
    std::uint64_t suspicions = 0;
    std::size_t updates_max = 0;  // in one message

private:
    struct Host {
        std::unique_ptr<FailureDetector> detector;
        std::deque<std::pair<NodeId, Bytes>> inbox;
        bool is_up = false;
        bool is_paused = false;
    };

    // In an order by chance: who comes later sees within the same tick what who came earlier said.
    void tick() {
        std::vector<NodeId> order = ids_;
        for (std::size_t left = order.size(); left > 1; --left) {
            std::swap(order[left - 1], order[random_.below(left)]);
        }
        for (const NodeId id : order) {
            Host& host = hosts_.at(id);
            if (host.is_up && !host.is_paused) {
                deliver(host);
                host.detector->tick();
                carry_out(id, host);
            }
        }
        for (const NodeId id : order) {
            Host& host = hosts_.at(id);
            if (host.is_up && !host.is_paused) {
                deliver(host);
                carry_out(id, host);
            }
        }
    }

    static void deliver(Host& host) {
        std::deque<std::pair<NodeId, Bytes>> inbox;
        inbox.swap(host.inbox);
        for (const auto& [from, batch] : inbox) {
            std::vector<wire::GossipMessage> decoded;
            EXPECT_TRUE(wire::decode_gossip(batch, decoded).ok());
            for (const wire::GossipMessage& message : decoded) {
                host.detector->receive(from, message);
            }
        }
    }

    void carry_out(NodeId from, Host& host) {
        const FailureDetectorOutput output = host.detector->take_output();
        for (const auto& [to, message] : output.messages) {
            ++messages;
            updates_max = std::max(updates_max, message.updates.size());
            Bytes batch;
            wire::encode_gossip(message, batch);
            bytes += batch.size();
            Host& receiver = hosts_.at(to);
            const bool is_cut = part_.contains(from) != part_.contains(to);
            if (receiver.is_up && !is_cut && !random_.chance(loss_percent, 100)) {
                receiver.inbox.emplace_back(from, std::move(batch));
            }
        }
        for (const auto& change : output.changes) {
            deaths += change.state == wire::MemberState::kDead ? 1 : 0;
            suspicions += change.state == wire::MemberState::kSuspect ? 1 : 0;
        }
    }

    FailureDetectorOptions options_;
    Random random_;
    std::vector<NodeId> ids_;
    std::map<NodeId, Host> hosts_;
    std::set<NodeId> part_;
};

}  // namespace kvstore::cluster::testing
