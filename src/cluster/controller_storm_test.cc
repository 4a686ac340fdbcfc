// Clusters that grow and shrink through crashes, pauses, partitions, deposed leaders, and stores
// and groups that fail with and without an effect. Afterwards everything is where it should be, and
// no rule was broken on the way. KVSTORE_ROUNDS=5000 makes it longer, KVSTORE_SEED begins
// elsewhere.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/parse.h"
#include "cluster/testing/member_world.h"

namespace kvstore::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::MemberWorld;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : parse_uint64(text).value_or(otherwise);
}

class Storm {
public:
    explicit Storm(std::uint64_t seed) : cluster_(seed), random_(seed) {
        cluster_.truth.faults = {.read_fails = 30,
                                 .write_fails = 20,
                                 .write_unknown = 15,
                                 .act_fails = 20,
                                 .act_unknown = 15};
    }

    void run() {
        cluster_.bootstrap(1 + random_.below(3));
        grow(3);
        grow(5);
        if (random_.chance(1, 2)) {
            leave(1 + random_.below(5));
            leave(1 + random_.below(5));
        }
        storm(8);
        calm();
        const std::size_t members = 5 - left_;
        EXPECT_TRUE(cluster_.settles(3, members == 5 ? 5 : 3, seconds(120))) << cluster_.describe();
        cluster_.world.run_for(seconds(5));
        expect_gone();
        EXPECT_FALSE(cluster_.truth.has_damaged()) << cluster_.describe();
        EXPECT_EQ(cluster_.truth.violations, std::vector<std::string>());
    }

private:
    void grow(std::uint64_t nodes) {
        while (cluster_.size() < nodes) {
            cluster_.add_node();
            storm(1 + random_.below(6));
        }
    }

    void leave(std::uint64_t number) {
        const NodeId node = cluster_.id(number);
        if (cluster_.truth.metadata().find_node(node)->state == NodeState::kActive) {
            cluster_.set_state(node, NodeState::kDecommissioning);
            ++left_;
            storm(4);
        }
    }

    void storm(std::uint64_t events) {
        for (std::uint64_t i = 0; i < events; ++i) {
            strike();
            cluster_.world.run_for(milliseconds(random_.between(50, 1500)));
        }
        // At most one host at a time is down or paused.
        cluster_.world.run_for(seconds(5));
        cluster_.world.heal_all();
    }

    void strike() {
        const std::uint64_t number = 1 + random_.below(cluster_.size());
        const std::uint64_t other = 1 + random_.below(cluster_.size());
        switch (random_.below(7)) {
            case 0: crash(number); break;
            case 1: crash_at_step(random_.between(1, 4)); break;
            case 2: depose(); break;
            case 3:
                if (number != other) {
                    cluster_.world.partition(cluster_.host(number), cluster_.host(other));
                }
                break;
            case 4: pause_controller(); break;
            case 5: cluster_.world.heal_all(); break;
            case 6: damage(number); break;
        }
    }

    void crash(std::uint64_t number) {
        if (is_hurt_ || !cluster_.is_up(number)) {
            return;
        }
        is_hurt_ = true;
        cluster_.world.crash(cluster_.host(number));
        cluster_.world.after(milliseconds(random_.between(300, 4000)), [this, number] {
            is_hurt_ = false;
            cluster_.restart(number);
        });
    }

    void crash_at_step(std::uint64_t count) {
        const std::uint64_t at = cluster_.truth.steps + count;
        cluster_.truth.on_step = [this, at] {
            const std::uint64_t host = cluster_.controller_host();
            if (cluster_.truth.steps == at && host != 0) {
                crash(host);
            }
        };
    }

    // One replica of the cluster at a time: with a node down, a second would cost a majority.
    void damage(std::uint64_t number) {
        if (cluster_.truth.has_damaged() || is_hurt_) {
            return;
        }
        const NodeId node = cluster_.id(number);
        for (const auto& [id, group] : cluster_.truth.groups()) {
            if (group.led.voters.size() >= 3 && group.full_at.contains(node)) {
                cluster_.truth.damage(id, node);
                return;
            }
        }
    }

    void depose() {
        std::vector<ShardId> ids;
        for (const auto& [id, group] : cluster_.truth.groups()) {
            ids.push_back(id);
        }
        cluster_.truth.depose(ids[random_.below(ids.size())], milliseconds(random_.below(3000)));
    }

    // It goes on later where it stood, while another one is at work.
    void pause_controller() {
        const std::uint64_t host = cluster_.controller_host();
        if (is_hurt_ || host == 0) {
            return;
        }
        is_hurt_ = true;
        cluster_.world.pause(cluster_.host(host));
        cluster_.truth.depose(kSystemShardId, milliseconds(random_.below(6000)));
        cluster_.world.after(milliseconds(random_.between(300, 4000)), [this, host] {
            is_hurt_ = false;
            cluster_.world.resume(cluster_.host(host));
        });
    }

    void calm() {
        cluster_.world.run_for(seconds(5));
        cluster_.world.heal_all();
        cluster_.truth.faults = {};
        cluster_.truth.on_step.reset();
        ASSERT_FALSE(is_hurt_);
    }

    void expect_gone() {
        for (const NodeRecord& node : cluster_.truth.metadata().nodes) {
            EXPECT_NE(node.state, NodeState::kDecommissioning) << cluster_.describe();
            EXPECT_NE(node.state, NodeState::kJoining) << cluster_.describe();
        }
    }

    MemberWorld cluster_;
    Random random_;
    bool is_hurt_ = false;
    std::uint64_t left_ = 0;
};

TEST(ControllerStorm, EndsWhereItShouldAndBreaksNoRule) {
    const std::uint64_t rounds = number_from("KVSTORE_ROUNDS", 150);
    const std::uint64_t first = number_from("KVSTORE_SEED", 1);
    for (std::uint64_t seed = first; seed < first + rounds; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Storm(seed).run();
        if (HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace kvstore::cluster
