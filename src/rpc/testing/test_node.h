// Nodes on simulated hosts that talk through a transport, with a service that writes down what
// comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "async/deadline.h"
#include "async/task.h"
#include "base/bytes.h"
#include "base/id.h"
#include "base/status.h"
#include "rpc/transport.h"
#include "sim/world.h"

namespace kvstore::rpc::testing {

inline constexpr Topic kTopic = 7;
inline constexpr Topic kOtherTopic = 8;
inline constexpr std::uint16_t kPort = 7070;
inline constexpr std::uint64_t kCluster = 0xc1;
inline constexpr std::size_t kBigAnswer = 4U << 20U;

// Answers a call with its request, but for requests that say otherwise:
//     "fail"   an error: kConflict with effect none, "as asked"
//     "drop"   no answer
//     "hold"   the responder is kept in `held`
//     "big N"  N bytes
// Reads streams to their end and answers with the number of bytes; a header "refuse" is refused
// after one chunk, with kDiskFull, "slow" takes `pace` for each chunk, and "big" is answered with
// kBigAnswer bytes.
class RecordingService final : public Service {
public:
    explicit RecordingService(env::Env& env) : env_(env) {}

    void on_messages(NodeId from, Received received) override;
    void on_call(NodeId from, Received request, Responder responder) override;
    async::Task<Result<Bytes>> on_stream(NodeId from,
                                         Bytes header,
                                         std::unique_ptr<IncomingStream> stream) override;
    void on_peer_state(NodeId peer, bool is_connected) override;

    std::vector<std::pair<NodeId, Bytes>> messages;
    std::vector<Bytes> calls;
    std::vector<Received> kept;  // of messages and calls, as they were received
    std::vector<Responder> held;
    std::vector<Bytes> chunks;
    std::vector<Status> stream_ends;       // ok: read to the declared end
    std::vector<std::string> peer_states;  // "2 up", "2 down"
    Duration pace{};

private:
    env::Env& env_;
};

// What became of a call.
struct Outcome final : CallSink {
    void on_answer(Received got) override {
        ++told;
        answer = Bytes(got.bytes);
    }
    void on_failed(const Status& why) override {
        ++told;
        failure = why;
    }
    int told = 0;
    Bytes answer;
    Status failure;
};

// Lifetime  Of the host's process: buried by a crash.
struct TestNode {
    TestNode(env::Env& env, Options options, AdmitPeer admit);

    RecordingService service;
    RecordingService other_service;
    std::unique_ptr<Transport> transport;
};

// What node `number` says by default, on a host named "n<number>".
[[nodiscard]] Options options_of(std::uint64_t number);
[[nodiscard]] env::Address address_of(std::uint64_t number);

// Several nodes that know one another. Numbers begin with 1.
class TestCluster {
public:
    explicit TestCluster(std::uint64_t seed, sim::WorldOptions options = {});
    TestCluster(const TestCluster&) = delete;
    TestCluster& operator=(const TestCluster&) = delete;
    // Stops whoever is up.
    ~TestCluster();

    // Adds the next node; it listens, and knows nobody.
    TestNode& add(AdmitPeer admit = {});
    TestNode& add(Options options, AdmitPeer admit = {});
    // Adds `count` nodes that know one another.
    void add_all(std::uint64_t count);
    void introduce(std::uint64_t one, std::uint64_t other);
    // After World::crash(): the next life, which knows nobody.
    TestNode& restart(std::uint64_t number);
    void crash(std::uint64_t number, sim::CrashKind kind = sim::CrashKind::kPowerLoss);

    [[nodiscard]] TestNode& node(std::uint64_t number) { return *nodes_[number - 1]; }
    [[nodiscard]] Transport& transport(std::uint64_t number) { return *node(number).transport; }
    [[nodiscard]] sim::Host& host(std::uint64_t number) { return *hosts_[number - 1]; }
    [[nodiscard]] bool is_up(std::uint64_t number) const { return nodes_[number - 1] != nullptr; }
    [[nodiscard]] std::uint64_t size() const { return nodes_.size(); }
    [[nodiscard]] async::Deadline in(Duration span) const {
        return async::Deadline::after(world.now(), span);
    }

    // Connects `from` to `to`, and waits for it.
    bool connect(std::uint64_t from, std::uint64_t to);
    [[nodiscard]] PeerStatus status(std::uint64_t from, std::uint64_t to);
    // Appends a message. False when it would be dropped.
    bool say(std::uint64_t from, std::uint64_t to, ByteView message, Topic topic = kTopic);
    Result<Bytes> call(std::uint64_t from,
                       std::uint64_t to,
                       ByteView request,
                       Duration patience = std::chrono::seconds(10));
    // Writes all chunks and finishes.
    Result<Bytes> stream(std::uint64_t from,
                         std::uint64_t to,
                         Bytes header,
                         std::vector<Bytes> chunks);
    void stop(std::uint64_t number);

    sim::World world;

private:
    void start(std::uint64_t number, Options options, AdmitPeer admit);

    std::vector<sim::Host*> hosts_;
    std::vector<std::unique_ptr<TestNode>> nodes_;
    std::vector<std::uint64_t> lives_;
};

async::Task<Result<Bytes>> write_stream(Transport* transport,
                                        NodeId to,
                                        Bytes header,
                                        std::vector<Bytes> chunks,
                                        async::Deadline deadline);

}  // namespace kvstore::rpc::testing
