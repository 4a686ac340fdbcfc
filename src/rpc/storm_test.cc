// Everything at once, by seed: nodes that call, tell and stream while links are cut, flip bits and
// reset, and nodes pause, crash and come back. Afterwards:
//   - every call of a caller that lived was told exactly once, and an answer is the right one;
//   - no call that was told to have had no effect was ever seen by the service;
//   - messages arrive in the order in which they were said, none twice, none changed;
//   - a stream that was read to its end is whole, and one that was answered was read to its end;
//   - all nodes find one another again.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/parse.h"
#include "base/random.h"
#include "rpc/testing/test_node.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::address_of;
using testing::kTopic;

// What a call is answered with: something only the request leads to.
Bytes answer_to(ByteView request) {
    Bytes answer(request);
    put_fixed(answer, crc32c(request));
    return answer;
}

// One call, from its caller's side and from its service's.
struct CallRecord final : CallSink {
    void on_answer(Received got) override {
        ++told;
        is_answered = true;
        answer = Bytes(got.bytes);
    }
    void on_failed(const Status& why) override {
        ++told;
        failure = why;
    }
    Bytes request;
    bool is_started = false;
    bool has_caller_died = false;
    int told = 0;
    bool is_answered = false;
    Bytes answer;
    Status failure;
    int seen = 0;
};

struct StreamRecord {
    std::uint32_t checksum = 0;
    int ends_seen = 0;  // times that a service read it to its declared end
    bool is_answered = false;
    Bytes answer;
    bool is_over = false;
};

// What the whole storm knows. Outlives every node, living or dead.
struct Ledger {
    std::deque<CallRecord> calls;
    std::deque<StreamRecord> streams;
    // Of (sender, its life, receiver, its life): the last message that came.
    std::map<std::vector<std::uint64_t>, std::uint64_t> last_message;
    std::uint64_t messages_said = 0;
    std::uint64_t messages_come = 0;
};

class StormService final : public Service {
public:
    StormService(Ledger& ledger, std::uint64_t node, std::uint64_t life, std::uint64_t seed)
        : ledger_(ledger), node_(node), life_(life), random_(seed) {}

    // A message: its sender's life, a number that rises, and filling.
    void on_messages(NodeId from, Received messages) override {
        Decoder decoder(messages.bytes);
        while (!decoder.at_end()) {
            const std::uint64_t life = decoder.varint();
            const std::uint64_t number = decoder.varint();
            const ByteView filling = decoder.length_prefixed();
            ASSERT_TRUE(decoder.ok());
            ASSERT_EQ(filling, Bytes(filling.size(), static_cast<char>('a' + number % 26)));
            std::uint64_t& last = ledger_.last_message[{from.value(), life, node_, life_}];
            ASSERT_GT(number, last);
            last = number;
            ++ledger_.messages_come;
        }
    }

    void on_call(NodeId /*from*/, Received request, Responder responder) override {
        Decoder decoder(request.bytes);
        const std::uint64_t number = decoder.varint();
        ASSERT_LT(number, ledger_.calls.size());
        CallRecord& record = ledger_.calls[number];
        ASSERT_EQ(request.bytes, record.request);
        ++record.seen;
        switch (random_.below(8)) {
            case 0: held_.emplace_back(number, std::move(responder)); break;
            case 1: responder.fail(Status(Code::kConflict, "as chance has it")); break;
            case 2: break;  // dropped
            default: responder.answer(answer_to(request.bytes));
        }
    }

    // Answers some of what is held.
    void answer_held() {
        while (!held_.empty() && random_.chance(1, 2)) {
            const std::size_t at = random_.below(held_.size());
            auto [number, responder] = std::move(held_[at]);
            held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(at));
            responder.answer(answer_to(ledger_.calls[number].request));
        }
    }

    // The header is the stream's number.
    async::Task<Result<Bytes>> on_stream(NodeId /*from*/,
                                         Bytes header,
                                         std::unique_ptr<IncomingStream> stream) override {
        StreamRecord& record = ledger_.streams[*parse_uint64(header)];
        std::uint32_t checksum = 0;
        while (true) {
            auto chunk = co_await stream->read();
            if (!chunk.ok()) {
                co_return chunk.status();
            }
            if (chunk->empty()) {
                EXPECT_EQ(checksum, record.checksum) << "whole";
                ++record.ends_seen;
                co_return std::to_string(checksum);
            }
            checksum = crc32c(*chunk, checksum);
        }
    }

private:
    Ledger& ledger_;
    std::uint64_t node_;
    std::uint64_t life_;
    Random random_;
    std::vector<std::pair<std::uint64_t, Responder>> held_;
};

struct StormNode {
    std::unique_ptr<StormService> service;
    std::unique_ptr<Transport> transport;
};

async::Task<void> write_all(Transport* transport,
                            NodeId to,
                            Bytes header,
                            std::vector<Bytes> chunks,
                            StreamRecord* record) {
    auto answer = co_await testing::write_stream(
        transport, to, std::move(header), std::move(chunks), async::Deadline::never());
    record->is_over = true;
    record->is_answered = answer.ok();
    if (answer.ok()) {
        record->answer = *answer;
    }
}

class Storm {
public:
    Storm(std::uint64_t seed, std::uint64_t nodes) : world_(seed), random_(seed) {
        for (std::uint64_t number = 1; number <= nodes; ++number) {
            hosts_.push_back(&world_.add_host(address_of(number).host));
            nodes_.emplace_back();
            lives_.push_back(0);
            calls_of_.emplace_back();
            start(number);
        }
    }

    void rage(int steps) {
        for (int step = 0; step < steps && !::testing::Test::HasFatalFailure(); ++step) {
            world_.run_for(Duration(random_.below(1ULL << random_.between(10, 27))));
            act(random_.below(100));
        }
    }

    void settle() {
        world_.heal_all();
        for (std::uint64_t number = 1; number <= size(); ++number) {
            for (std::uint64_t other = 1; other <= size(); ++other) {
                world_.link(host(number), host(other)) = sim::LinkOptions();
            }
        }
        restart_all();
        for (std::uint64_t number = 1; number <= size(); ++number) {
            introduce(number);
            for (std::uint64_t other = 1; other <= size(); ++other) {
                say(number, other);
            }
        }
        // Longer than any deadline, silence and backoff.
        world_.run_for(seconds(60));
    }

    void check() {
        for (std::uint64_t number = 1; number <= size(); ++number) {
            for (std::uint64_t other = 1; other <= size(); ++other) {
                EXPECT_TRUE(number == other || node(number).transport->is_connected(NodeId(other)))
                    << number << " to " << other;
            }
            world_.block_on(host(number), node(number).transport->stop());
        }
        for (const CallRecord& call : ledger_.calls) {
            check(call);
        }
        for (const StreamRecord& stream : ledger_.streams) {
            EXPECT_LE(stream.ends_seen, 1);
            if (stream.is_answered) {
                EXPECT_EQ(stream.ends_seen, 1);
                EXPECT_EQ(stream.answer, std::to_string(stream.checksum));
            }
        }
    }

    // How much of each has happened, so that a storm that does nothing is noticed.
    struct Tally {
        std::uint64_t answered = 0;
        std::uint64_t had_none = 0;
        std::uint64_t unknown = 0;
        std::uint64_t streams = 0;
        std::uint64_t streams_broken = 0;
        std::uint64_t messages = 0;
        std::uint64_t damage = 0;
    };
    void add_to(Tally& tally) {
        for (const CallRecord& call : ledger_.calls) {
            tally.answered += call.is_answered ? 1 : 0;
            tally.had_none += !call.failure.ok() && call.failure.effect() == Effect::kNone ? 1 : 0;
            tally.unknown += call.failure.effect() == Effect::kUnknown ? 1 : 0;
        }
        for (const StreamRecord& stream : ledger_.streams) {
            tally.streams += stream.is_answered ? 1 : 0;
            tally.streams_broken += stream.is_over && !stream.is_answered ? 1 : 0;
        }
        tally.messages += ledger_.messages_come;
        for (const StormNode& node : nodes_) {
            tally.damage += node.transport->statistics().frames_damaged;
        }
    }
    [[nodiscard]] std::uint64_t trace_hash() const { return world_.trace_hash(); }

private:
    [[nodiscard]] std::uint64_t size() const { return nodes_.size(); }
    [[nodiscard]] sim::Host& host(std::uint64_t number) { return *hosts_[number - 1]; }
    [[nodiscard]] StormNode& node(std::uint64_t number) { return nodes_[number - 1]; }
    [[nodiscard]] bool is_up(std::uint64_t number) { return node(number).transport != nullptr; }
    std::uint64_t any_node() { return random_.between(1, size()); }

    void start(std::uint64_t number) {
        Options options = testing::options_of(number);
        options.self.incarnation = ++lives_[number - 1];
        options.peer_output_max = 4U << 20U;
        options.calls_max = 200;
        node(number).service =
            std::make_unique<StormService>(ledger_, number, lives_[number - 1], random_.next());
        node(number).transport = Transport::make(host(number).env(), options, {});
        node(number).transport->add_service(kTopic, node(number).service.get());
        ASSERT_TRUE(node(number).transport->listen(address_of(number)).ok());
        introduce(number);
    }

    void introduce(std::uint64_t number) {
        for (std::uint64_t other = 1; other <= size(); ++other) {
            if (other != number) {
                node(number).transport->set_peer(NodeId(other), address_of(other));
            }
        }
    }

    void act(std::uint64_t chance) {
        const std::uint64_t one = any_node();
        const std::uint64_t other = any_node();
        if (is_up(one) && one != other && chance < 80) {
            if (chance < 40) {
                call(one, other);
            } else if (chance < 75) {
                for (std::uint64_t i = random_.below(5); i-- > 0;) {
                    say(one, other);
                }
            } else {
                stream(one, other);
            }
        } else if (is_up(one) && chance < 95) {
            node(one).service->answer_held();
        } else if (one != other) {
            strike(one, other, random_.below(14));
        }
    }

    void strike(std::uint64_t one, std::uint64_t other, std::uint64_t kind) {
        sim::LinkOptions& link = world_.link(host(one), host(other));
        switch (kind) {
            case 0: world_.block(host(one), host(other)); break;
            case 1: world_.partition(host(one), host(other)); break;
            case 2: world_.heal_all(); break;
            case 3: world_.reset_connections(host(one), host(other)); break;
            case 4: link.corruption = 100'000; break;
            case 5: link.reset = 50'000; break;
            case 6: link.loss = 100'000; break;
            case 7: link = sim::LinkOptions(); break;
            case 8: crash(one); break;
            case 9: pause_or_resume(one); break;
            case 10: forget(one, other); break;
            default: restart_all();
        }
    }

    void call(std::uint64_t from, std::uint64_t to) {
        CallRecord& record = ledger_.calls.emplace_back();
        put_varint(record.request, ledger_.calls.size() - 1);
        record.request.append(random_.below(1ULL << random_.between(1, 18)), 'r');
        const auto deadline =
            async::Deadline::after(world_.now(), milliseconds(random_.between(1, 20'000)));
        const Status started =
            node(from).transport->start_call(NodeId(to), kTopic, record.request, deadline, &record);
        EXPECT_EQ(record.told, 0) << "not from inside start_call()";
        EXPECT_EQ(started.effect(), Effect::kNone);
        record.is_started = started.ok();
        if (started.ok()) {
            calls_of_[from - 1].push_back(&record);
        } else {
            record.failure = started;
        }
    }

    void say(std::uint64_t from, std::uint64_t to) {
        Bytes* buffer = node(from).transport->message_buffer(NodeId(to), kTopic);
        if (buffer != nullptr) {
            const std::uint64_t number = ++ledger_.messages_said;
            put_varint(*buffer, lives_[from - 1]);
            put_varint(*buffer, number);
            put_length_prefixed(*buffer,
                                Bytes(random_.below(1ULL << random_.between(1, 16)),
                                      static_cast<char>('a' + number % 26)));
        }
    }

    void stream(std::uint64_t from, std::uint64_t to) {
        StreamRecord& record = ledger_.streams.emplace_back();
        std::vector<Bytes> chunks;
        for (std::uint64_t i = random_.below(8); i-- > 0;) {
            chunks.emplace_back(random_.between(1, 300'000), static_cast<char>('a' + i));
            record.checksum = crc32c(chunks.back(), record.checksum);
        }
        host(from).spawn(write_all(node(from).transport.get(),
                                   NodeId(to),
                                   std::to_string(ledger_.streams.size() - 1),
                                   std::move(chunks),
                                   &record));
    }

    void crash(std::uint64_t number) {
        if (!is_up(number)) {
            return;
        }
        world_.crash(host(number),
                     random_.chance(1, 2) ? sim::CrashKind::kKill : sim::CrashKind::kPowerLoss);
        sim::bury(std::move(node(number).transport));
        sim::bury(std::move(node(number).service));
        paused_.erase(number);
        for (CallRecord* call : calls_of_[number - 1]) {
            call->has_caller_died = true;
        }
        calls_of_[number - 1].clear();
    }

    void restart_all() {
        for (std::uint64_t number = 1; number <= size(); ++number) {
            if (!is_up(number)) {
                world_.restart(host(number));
                start(number);
            }
            if (paused_.erase(number) > 0) {
                world_.resume(host(number));
            }
        }
    }

    void pause_or_resume(std::uint64_t number) {
        if (!is_up(number)) {
            return;
        }
        if (paused_.erase(number) == 0) {
            world_.pause(host(number));
            paused_.insert(number);
        } else {
            world_.resume(host(number));
        }
    }

    void forget(std::uint64_t one, std::uint64_t other) {
        if (is_up(one)) {
            node(one).transport->remove_peer(NodeId(other));
            node(one).transport->set_peer(NodeId(other), address_of(other));
        }
    }

    static void check(const CallRecord& call) {
        const bool is_of_service = call.failure.code() == Code::kConflict;
        EXPECT_LE(call.seen, 1) << "never repeated";
        if (!call.is_started) {
            EXPECT_EQ(call.told, 0);
            EXPECT_EQ(call.seen, 0);
            return;
        }
        EXPECT_LE(call.told, 1);
        if (!call.has_caller_died) {
            EXPECT_EQ(call.told, 1);
        }
        if (call.is_answered) {
            EXPECT_EQ(call.answer, answer_to(call.request));
            EXPECT_EQ(call.seen, 1);
        } else if (call.told > 0 && !is_of_service && call.failure.effect() == Effect::kNone) {
            EXPECT_EQ(call.seen, 0) << call.failure.to_string();
        }
    }

    Ledger ledger_;
    sim::World world_;
    Random random_;
    std::vector<sim::Host*> hosts_;
    std::vector<StormNode> nodes_;
    std::vector<std::uint64_t> lives_;
    std::vector<std::vector<CallRecord*>> calls_of_;
    std::set<std::uint64_t> paused_;
};

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : parse_uint64(text).value_or(otherwise);
}

TEST(TransportStorm, KeepsEveryPromise) {
    const std::uint64_t first = number_from_environment("KVSTORE_SEED", 1);
    const std::uint64_t count = number_from_environment("KVSTORE_SEEDS", 50);
    Storm::Tally tally;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        SCOPED_TRACE("KVSTORE_SEED=" + std::to_string(seed));
        Storm storm(seed, 2 + seed % 4);
        storm.rage(1500);
        storm.settle();
        storm.check();
        storm.add_to(tally);
        if (HasFailure()) {
            break;
        }
    }
    EXPECT_GT(tally.answered, 50 * count);
    EXPECT_GT(tally.had_none, 5 * count);
    EXPECT_GT(tally.unknown, 5 * count);
    EXPECT_GT(tally.streams, 3 * count);
    EXPECT_GT(tally.streams_broken, count);
    EXPECT_GT(tally.messages, 50 * count);
    EXPECT_GT(tally.damage, count);
}

TEST(TransportStorm, IsTheSameForTheSameSeed) {
    std::set<std::uint64_t> traces;
    for (int run = 0; run < 2; ++run) {
        Storm storm(7, 3);
        storm.rage(500);
        storm.settle();
        storm.check();
        traces.insert(storm.trace_hash());
    }
    EXPECT_EQ(traces.size(), 1U);
}

}  // namespace
}  // namespace kvstore::rpc
